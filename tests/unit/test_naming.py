"""What names mean."""

from __future__ import annotations

import pytest

from duckconf.naming import public_image


@pytest.mark.parametrize(
    ("image", "public"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("team/web:1", "docker.io/team/web:1"),
        ("localhost/web", ""),
        ("registry:5000/web", ""),
        ("quay.io/team/web", ""),
    ],
)
def test_a_short_image_name_means_what_docker_means_by_it(image: str, public: str) -> None:
    assert public_image(image) == public
