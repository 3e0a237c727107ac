"""The least that a runner of the protocol can do: read a request, write an answer, and say so. No checks, no cancel, no logs."""

import json
import os
import signal
import sys

directory, server = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, "python")

from cog.internal.inotify import watch  # noqa: E402

names = watch(directory)
print("ready", flush=True)
while True:
    for name in names.wait() or ():
        if not name.startswith("request-"):
            continue
        with open(f"{directory}/{name}", "rb", buffering=0) as file:
            given = json.loads(file.read())["input"]
        if "name" in given:
            output = "hello " + given["name"]
        elif "text" in given:
            output = str(len(given["text"]))
        else:
            output = "x" * given["size"]
        with open(f"{directory}/tmp/{name}", "wb", buffering=0) as file:
            file.write(json.dumps({"status": "succeeded", "output": output}).encode())
        os.rename(f"{directory}/tmp/{name}", f"{directory}/response-{name[8:]}")
        os.kill(server, signal.SIGHUP)
