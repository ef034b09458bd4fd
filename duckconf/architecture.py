"""Processor architectures: the kernel's words, those of images and engines, and what runs where. Pure."""

from __future__ import annotations

from collections.abc import Collection

OF_KERNEL = {
    "x86_64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "loongarch64": "loong64",
}
# Processors that run the programs of their smaller kind as well.
ALSO = {"amd64": {"386"}, "arm64": {"arm"}}


def architecture(word: str) -> str:
    """What `uname -m` prints, or what qemu calls itself, in the words of images."""
    return OF_KERNEL.get(word, word)


def runs(machine: str, image: str, emulated: Collection[str] = ()) -> bool:
    """Whether a machine runs the programs of an image; `emulated` are those that it hands to an emulator. What is not
    known runs."""
    return not machine or not image or image in {machine, *ALSO.get(machine, ()), *emulated}
