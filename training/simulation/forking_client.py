"""Stands for a process that the fork server makes: python forking_client.py SOCKET -m MODULE ...

Starts in milliseconds, hence nothing but the standard library, and little of it.
"""

import array
import json
import os
import signal
import socket
import sys


def main() -> int:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.connect(sys.argv[1])
    request = {
        "arguments": sys.argv[2:],
        "folder": os.getcwd(),
        "environment": dict(os.environ),
    }
    files = array.array("i", [0, 1, 2])
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
    message = json.dumps(request).encode() + b"\n"
    sent = server.sendmsg([message], rights)
    server.sendall(message[sent:])
    signal.signal(signal.SIGTERM, lambda number, frame: server.sendall(b"t"))
    answer = b""
    while part := server.recv(64):
        answer += part
    code = int(answer) if answer else 1
    if code < 0:  # die as it died
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main())
