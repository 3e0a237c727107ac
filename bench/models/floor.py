"""The least that a runner with the file protocol can do: read a request, write an answer, and
signal the server. It does not check or log anything.
"""

import json
import os
import signal
import sys
import time

directory, server = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, "python")

from cog.internal.wire.inotify import let_others_run, watch  # noqa: E402

AWAKE = 0.0005  # seconds for which both sides poll for the next message before they sleep

names = watch(directory)
print("ready", flush=True)
last = 0.0
sleeping = set()  # the requests that wait for their cancel
while True:
    requests = []
    for name in names.wait(last + AWAKE) or ():
        if name.startswith("request-"):
            requests.append(name)
        elif name.startswith("cancel-"):
            os.unlink(f"{directory}/{name}")
            requests.append("request-" + name[7:])
    for name in requests:
        with open(f"{directory}/{name}", "rb", buffering=0) as file:
            given = json.loads(file.read())["input"]
        status = "succeeded"
        if "seconds" in given and name not in sleeping:
            sleeping.add(name)
            continue
        if "seconds" in given:
            sleeping.remove(name)
            status, output = "canceled", None
        elif "name" in given:
            output = "hello " + given["name"]
        elif "text" in given:
            output = str(len(given["text"]))
        else:
            output = "x" * given["size"]
        with open(f"{directory}/tmp/{name}", "wb", buffering=0) as file:
            file.write(json.dumps({"status": status, "output": output}).encode())
        os.rename(f"{directory}/tmp/{name}", f"{directory}/response-{name[8:]}")
        last = time.monotonic()
        while (waits := os.access(f"{directory}/{name}", os.F_OK)) and len(requests) == 1:
            if time.monotonic() > last + AWAKE / 5:
                break
            let_others_run()
        if waits:
            os.kill(server, signal.SIGHUP)
