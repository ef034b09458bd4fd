"""Beside Caddy on an edge host: takes requests back from hosts that have fallen silent, so that Caddy sends them to another one.

What a host took before it froze is answered by nobody, and its connection does not end by itself: the kernel tries for a quarter
of an hour. The kernel is told to end the connections to an upstream that takes none any more while its host answers nowhere
else either: an instance that is slow is left alone. Nothing is taken back while no other upstream answers: the fault may be
ours. Runs on Python 3.9 and imports nothing else.
"""

import http.client
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

LOOK_EVERY = 0.5
# Seconds in which a host answers that lives, and how many times in a row it may not.
WITHIN = 0.7
MOST_MISSES = 2
# A port that answers on a host that lives, open or not. The queue of an instance that is overloaded may be full.
OF_THE_HOST = 22
PROBES = 32
# As many of the others are asked when all that have requests are silent.
MOST_IDLE = 16


class Silence:
    """Which upstreams are silent, by what is seen of them look after look."""

    def __init__(self):
        self._missed = {}

    def judge(self, answers, elsewhere):
        """`answers` has for each upstream with open requests whether it was reached, `elsewhere` says whether any other was."""
        self._missed = {address: self._missed.get(address, 0) + 1 for address, reached in answers.items() if not reached}
        if not (elsewhere or any(answers.values())):
            return []
        return sorted(address for address, missed in self._missed.items() if missed >= MOST_MISSES)


def upstreams(path):
    """The open requests of each upstream, as Caddy counts them."""
    talk = http.client.HTTPConnection("localhost", timeout=5)
    talk.sock = socket.socket(socket.AF_UNIX)
    try:
        talk.sock.settimeout(5)
        talk.sock.connect(path)
        talk.request("GET", "/reverse_proxy/upstreams", headers={"Host": ""})
        return {entry["address"]: entry["num_requests"] for entry in json.loads(talk.getresponse().read()) or ()}
    finally:
        talk.close()


def parts(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def answers(host, port):
    try:
        socket.create_connection((host, port), WITHIN).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def reached(addresses, pool):
    """Of each whether its host answers, there or elsewhere; both are asked at once."""
    asked = [(address, host, port) for address in addresses for host, own in [parts(address)] for port in (own, OF_THE_HOST)]
    seen = dict.fromkeys(addresses, False)
    for (address, _, _), answered in zip(asked, pool.map(lambda one: answers(*one[1:]), asked)):
        seen[address] = seen[address] or answered
    return seen


def end(address):
    """End the connections to it; returns how many there were."""
    host, port = parts(address)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ended = 0
    for ip in sorted({entry[4][0] for entry in found}):
        told = ["ss", "--kill", "--no-header", "--tcp", "dst", ip, "dport", "=", f":{port}"]
        ended += len(subprocess.run(told, stdout=subprocess.PIPE, check=False).stdout.splitlines())
    return ended


def look(silence, path, pool):
    found = upstreams(path)
    busy = [address for address, requests in found.items() if requests]
    seen = reached(busy, pool)
    idle = [address for address in found if address not in seen][:MOST_IDLE] if seen and not any(seen.values()) else []
    for address in silence.judge(seen, any(reached(idle, pool).values())):
        print(f"{address} is silent, with {found[address]} open requests: {end(address)} connections ended")


def main(path):
    silence = Silence()
    with ThreadPoolExecutor(PROBES) as pool:
        while True:
            begun = time.monotonic()
            try:
                look(silence, path, pool)
            except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
                # Caddy is told of a change, or is being started. The next look will show.
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                time.sleep(5)
            time.sleep(max(0.0, begun + LOOK_EVERY - time.monotonic()))


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    main(sys.argv[1])
