"""A Compose service with every field that describes a container, and what must then be true inside and of the container."""

from __future__ import annotations

from typing import Any

from duckconf.naming import NGINX_IMAGE

SERVICE: dict[str, Any] = {
    "image": NGINX_IMAGE,
    "entrypoint": ["/bin/sh", "-c"],
    "command": ["trap 'exit 7' USR1; while :; do sleep 0.1; done"],
    "environment": ["ODD=a b'c\"d $(id) ü", "EMPTY="],
    "labels": ["team=web"],
    "ports": [{"target": 80, "host_ip": "127.0.0.1", "protocol": "tcp"}],
    "volumes": [
        {"type": "bind", "source": "/usr/share", "target": "/from node", "read_only": True},
        {"type": "tmpfs", "target": "/long", "tmpfs": {"size": 1048576, "mode": 0o1777}},
    ],
    "tmpfs": "/short:size=2m,mode=1777",
    "mem_limit": "64m",
    "user": "1000:1001",
    "group_add": [1234],
    "working_dir": "/var/lib",
    "hostname": "web.example.org",
    "init": True,
    "read_only": True,
    "stdin_open": True,
    "tty": True,
    "shm_size": "8m",
    "ulimits": {"nofile": {"soft": 1024, "hard": 2048}, "nproc": 4000},
    "sysctls": {"net.core.somaxconn": 1000, "net.ipv4.ip_local_reserved_ports": "80,443"},
    "cap_drop": ["ALL"],
    "cap_add": ["NET_ADMIN"],
    "security_opt": ["no-new-privileges:true"],
    "devices": [{"source": "/dev/null", "target": "/dev/nothing", "permissions": "rw"}],
    "network_mode": "bridge",
    "dns": "192.0.2.53",
    "extra_hosts": {"db.local": "192.0.2.7", "six.local": "[2001:db8::7]"},
    "stop_signal": "SIGUSR1",
    "stop_grace_period": "1m30s",
    "pull_policy": "never",
    "x-note": "ignored",
}
# A line for the shell inside, and what it prints.
INSIDE: dict[str, tuple[str, str]] = {
    "environment": ('printf %s "$ODD$EMPTY"', "a b'c\"d $(id) ü"),
    "volume": (
        r"sed -En 's|^.* (/from\\040node) [^ ]+ (r.),.*|\1 \2|p' /proc/mounts; ls -d '/from node/doc'",
        "/from\\040node ro\n/from node/doc",
    ),
    "tmpfs": (r"sed -En 's|^tmpfs (/long\|/short) .*size=([0-9]+k).*|\1 \2|p' /proc/mounts | sort", "/long 1024k\n/short 2048k"),
    "tmpfs mode": ("stat -c %a /long /short; touch /long/x /short/x", "1777\n1777"),
    "user": ("id -u; id -g; id -G | tr ' ' '\\n' | grep 1234", "1000\n1001\n1234"),
    "working_dir": ("pwd", "/var/lib"),
    "hostname": ("hostname", "web.example.org"),
    "init": ("grep -c init /proc/1/comm", "1"),
    "tty": ("readlink /proc/1/fd/0", "/dev/pts/0"),
    "read_only": (
        r"sed -En 's|^[^ ]+ / [^ ]+ (r.),.*|\1|p' /proc/mounts; grep -Ec ' (/run|/tmp|/var/tmp) ' /proc/mounts",
        "ro\n0",
    ),
    "shm_size": (r"sed -En 's|^.* /dev/shm .*size=([0-9]+k).*|\1|p' /proc/mounts", "8192k"),
    "ulimits": (r"sed -En 's/^Max (open files|processes) +([0-9]+) +([0-9]+) .*/\2 \3/p' /proc/1/limits", "4000 4000\n1024 2048"),
    "sysctls": ("cat /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ip_local_reserved_ports", "1000\n80,443"),
    "capabilities": (
        "grep -Eo '^CapBnd.*|^NoNewPrivs.*' /proc/1/status | tr '\\t' ' '",
        "CapBnd: 0000000000001000\nNoNewPrivs: 1",
    ),
    "devices": ("echo x >/dev/nothing; stat -c %F /dev/nothing", "character special file"),
    "network": ("ls /sys/class/net | grep eth", "eth0"),
    "dns": ("grep ^nameserver /etc/resolv.conf", "nameserver 192.0.2.53"),
    "extra_hosts": (
        r"sed -En 's/^([^ \t]+)[ \t]+((db|six).local)$/\1 \2/p' /etc/hosts",
        "192.0.2.7 db.local\n2001:db8::7 six.local",
    ),
}
# What `inspect` says of it, as JSON.
INSPECTED = {
    ".Config.OpenStdin": "true",
    ".Config.StopTimeout": "90",
    ".HostConfig.Memory": "67108864",
    ".Config.Labels.team": '"web"',
}
SLEEPING = {"command": "sleep 1000", "stop_signal": "SIGKILL"}
# What would take away some of the above.
ON_HOST: dict[str, Any] = {"image": NGINX_IMAGE, "network_mode": "host", **SLEEPING}
PRIVILEGED: dict[str, Any] = {"image": NGINX_IMAGE, "privileged": True, **SLEEPING}
