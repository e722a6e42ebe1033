"""Runs LocalStack's S3 on a free port of the loopback, and ends when its standard input does.

Whoever starts this holds the other end of that pipe, and lets go of it even when killed. The
argument is the folder for all that is written; it is gone at the end. The one line of standard
output is the endpoint, once that serves.
"""

import http.client
import os
import random
import runpy
import shutil
import socket
import sys
import threading
import time

folder = sys.argv[1]


def end():
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def watch():
    sys.stdin.buffer.read()
    end()


def free_port():
    """One from those that neither the kernel gives to clients nor servers of PostgreSQL take."""
    for port in random.sample(range(12_000, 20_000), 8_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit("no port is free")


def tell(port, out):
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/_localstack/health")
            if connection.getresponse().status == 200:
                break
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    out.write(f"http://127.0.0.1:{port}\n")
    out.close()


out = os.fdopen(os.dup(1), "w")
# What LocalStack prints is for its log.
os.dup2(2, 1)
threading.Thread(target=watch, daemon=True).start()
port = free_port()
os.environ.update(
    HOME=folder,
    TMPDIR=folder,
    FILESYSTEM_ROOT=os.path.join(folder, "state"),
    GATEWAY_LISTEN=f"127.0.0.1:{port}",
    SERVICES="s3",
    EAGER_SERVICE_LOADING="1",
    S3_SKIP_SIGNATURE_VALIDATION="0",
    DISABLE_EVENTS="1",
    SKIP_SSL_CERT_DOWNLOAD="1",
    LS_LOG="warn",
)
import localstack.services.s3.provider as s3

# A folder that all its instances share, and none removes, otherwise.
s3.DEFAULT_S3_TMP_DIR = os.path.join(folder, "objects")
threading.Thread(target=tell, args=(port, out), daemon=True).start()
try:
    runpy.run_module("localstack.runtime.main", run_name="__main__")
finally:
    end()
