"""Files of many servers: docs/queue.md, Files."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import signal
import socket
import time

import pytest

from http_events import Stream
from http_harness import data_of
from model_sources import model_source
from nats_client import Nats
from queue_harness import ASYNC, runs, unique_name, with_a_second_worker
from servers import measures_memory
from waiting import until

KIB, MIB = 1 << 10, 1 << 20
MODEL = model_source("queue/files")
YIELDS = model_source("queue/yields_files")


def made(size, seed=""):
    """The contents of a file of the model."""
    return seed.encode() + bytes(range(256)) * 4 * (size >> 10)


def upload(server, data, name="x.bin", **more):
    head = f'--b\r\nContent-Disposition: form-data; name="content"; filename="{name}"\r\n'
    form = head.encode() + b"Content-Type: application/x-own\r\n\r\n" + data + b"\r\n--b--\r\n"
    return server.ask(
        "POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=b", **more
    )


def stored(fleet, stream="COGGO_U"):
    """Return how many messages and bytes a stream has."""
    nats = Nats(fleet.broker.url)
    try:
        state = nats.api(f"STREAM.INFO.{stream}")["state"]
    finally:
        nats.close()
    return state["messages"], state["bytes"]


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    return start_fleet_once(MODEL)


# Files of outputs


def test_output_files_are_data_urls_everywhere(fleet, receiver):
    one, other = fleet.gateways
    given = {"mebibytes": 2, "kibibytes": 70, "text": "é"}
    answer = one.predict(given, id="out", webhook=receiver.url)
    output = answer.json["output"]
    assert data_of(output["a.bin"]) == (made(2 * MIB), "application/octet-stream")
    assert data_of(output["b.png"]) == (made(70 * KIB), "image/png")
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert other.get("/predictions/out").body == answer.body
    assert other.ask("PUT", "/predictions/out", {"input": given}).body == answer.body
    receiver.wait_terminal()
    assert receiver.bodies[-1] == answer.body
    assert other.get("/v1/predictions/out").json["output"] == output


def test_the_broker_has_output_files_as_they_are(fleet):
    before = stored(fleet, "COGGO_F")[1]
    fleet.gateways[0].predict({"mebibytes": 6})
    grown = stored(fleet, "COGGO_F")[1] - before
    assert 6 * MIB < grown < 6.1 * MIB, "in base64 it would be 8 MiB"


def test_yielded_files_are_items_of_the_stream(start_fleet):
    fleet = start_fleet(YIELDS, workers=1)
    one, other = fleet.gateways
    body = {"input": {"mebibytes": 1}, "id": "yields"}
    with Stream(one.port, "POST", "/predictions", body) as stream:
        events = list(stream)
    chunks = [event.data["chunk"] for event in events if event.name == "output"]
    assert chunks[0] == "first" and chunks[2] == "last"
    assert data_of(chunks[1])[0] == made(MIB)
    assert events[-1].data["output"] == chunks
    assert other.get("/predictions/yields").json["output"] == chunks


@measures_memory
def test_a_large_file_is_in_the_memory_of_no_server(start_fleet, receiver):
    fleet = start_fleet(MODEL, workers=1)
    servers = [*fleet.workers, *fleet.gateways]
    fleet.gateways[0].predict({"mebibytes": 1}, webhook=receiver.url)
    fleet.gateways[1].get("/predictions/none")
    before = [server.memory() for server in servers]
    answer = fleet.gateways[0].predict({"mebibytes": 64}, id="large", webhook=receiver.url)
    assert data_of(answer.json["output"]["a.bin"])[0] == made(64 * MIB)
    assert fleet.gateways[1].get("/predictions/large").body == answer.body
    until("the webhook is there", lambda: receiver.bodies and receiver.bodies[-1] == answer.body)
    grown = [(server.memory() - peak) >> 20 for server, peak in zip(servers, before)]
    assert max(grown) < 40, f"a file of 64 MiB made the servers grow by {grown} MiB"


@measures_memory
def test_a_large_input_is_in_a_gateway_as_often_as_in_one_server(start, start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    alone = start(MODEL)
    body = json.dumps({"input": {"text": "x" * (50 * MIB)}})
    grown = []
    for server in (alone, fleet.gateways[0]):
        server.predict({"text": "x"})
        before = server.memory()
        answer = server.ask("POST", "/predictions", body, Content_Type="application/json")
        assert answer.status == 200 and len(answer.json["output"]["text"]) == 50 * MIB
        grown.append((server.memory() - before) >> 20)
    assert grown[1] < grown[0] + 30, f"alone {grown[0]} MiB, a gateway {grown[1]} MiB"


@pytest.mark.parametrize("how", ["kill", "stopped"])
def test_two_attempts_never_mix_their_files(start_fleet, tmp_path, how):
    """Each worker writes its process id into its files: an end has files of one of them."""
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    gateway = fleet.gateways[0]
    given = {"mebibytes": 1, "kibibytes": 80, "seed": "PID", "until": str(tmp_path / "go")}
    first = with_a_second_worker(fleet, MODEL, "mixed", given)
    if how == "kill":
        first.kill()
    else:
        first.process.send_signal(signal.SIGSTOP)
    second = fleet.workers[1]
    until("the other has it", lambda: "running again what" in second.log(), 30)
    (tmp_path / "go").touch()
    output = gateway.ended("mixed", 30)["output"]
    seed = str(second.process.pid)
    assert data_of(output["a.bin"])[0] == made(MIB, seed)
    assert data_of(output["b.png"])[0] == made(80 * KIB, seed)
    if how == "stopped":
        first.process.send_signal(signal.SIGCONT)
        until("it is fenced", lambda: "another worker has taken over" in first.log(), 30)
        assert gateway.get("/predictions/mixed").json["output"] == output


def test_a_worker_killed_between_its_files_and_its_end_leaves_no_end(start_fleet, tmp_path):
    """The broker refuses states, so files are stored and their end is not."""
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    gateway = fleet.gateways[0]
    given = {"mebibytes": 1, "seed": "PID", "until": str(tmp_path / "go")}
    first = with_a_second_worker(fleet, MODEL, "between", given)
    nats = Nats(fleet.broker.url)
    config = nats.api("STREAM.INFO.COGGO_P")["config"]
    small = {**config, "max_bytes": 1}
    nats.api("STREAM.UPDATE.COGGO_P", **small)
    (tmp_path / "go").touch()
    until("the files are stored", lambda: stored(fleet, "COGGO_F")[1] > MIB)
    until("the end is not", lambda: "store the end of a prediction" in first.log())
    first.kill()
    nats.api("STREAM.UPDATE.COGGO_P", **config)
    nats.close()
    output = gateway.ended("between", 40)["output"]
    assert data_of(output["a.bin"])[0] == made(MIB, str(fleet.workers[1].process.pid))


# /v1/files


def test_a_file_of_one_gateway_is_there_at_every_server(fleet):
    one, other = fleet.gateways
    data = os.urandom(3 * MIB + 5)
    answer = upload(one, data, "été.bin")
    assert answer.status == 201
    file = answer.json
    sha = hashlib.sha256(data).hexdigest()
    assert (file["name"], file["size"], file["etag"]) == ("été.bin", len(data), sha)
    assert file["content_type"] == "application/x-own" and file["checksums"] == {"sha256": sha}
    path = f"/v1/files/{file['id']}"
    for server in (other, fleet.workers[0]):
        again = server.get(path).json
        assert {k: v for k, v in again.items() if k != "urls"} == {
            k: v for k, v in file.items() if k != "urls"
        }
        assert file["id"] in [f["id"] for f in server.get("/v1/files").json["results"]]
        assert server.get(path + "/download").body == data
    for first, last in ((0, 0), (MIB - 1, MIB), (262143, 262145), (3 * MIB, 3 * MIB + 4)):
        part = other.get(path + "/download", Range=f"bytes={first}-{last}")
        assert part.status == 206 and part.body == data[first : last + 1]
    assert other.get(path + "/download", Range="bytes=-5").body == data[-5:]
    assert other.get(path + "/download", Range=f"bytes={len(data)}-").status == 416
    head = other.ask("HEAD", path + "/download")
    assert head.status == 200 and int(head.headers["content-length"]) == len(data)
    read = other.predict({"file": file["urls"]["get"]}).json["output"]["read"]
    assert read == ["été.bin", len(data), sha]
    before = stored(fleet)[0]
    assert other.ask("DELETE", path).status == 204
    assert stored(fleet)[0] == before - 14, "13 pieces and a description"
    for server in fleet.gateways:
        assert server.get(path).status == server.get(path + "/download").status == 404
    assert one.ask("DELETE", path).status == 404


def test_metadata_of_either_side_of_the_file_is_kept(fleet):
    one, other = fleet.gateways
    for parts in (["metadata", "content"], ["content", "metadata"]):
        form = b"".join(
            f'--b\r\nContent-Disposition: form-data; name="{part}"\r\n\r\n'.encode()
            + {"metadata": b'{"of": "me"}', "content": b"data"}[part]
            + b"\r\n"
            for part in parts
        )
        answer = one.ask(
            "POST", "/v1/files", form + b"--b--\r\n", Content_Type="multipart/form-data; boundary=b"
        )
        found = other.get(f"/v1/files/{answer.json['id']}").json
        assert found["metadata"] == {"of": "me"} and found["size"] == 4
        assert found["content_type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "name", ["", "..", "../../x", "a/b", "a.b.*", ">", "é" * 300, "con\\x", ".hidden", "%2e%2e"]
)
def test_hostile_names_are_only_names(fleet, name):
    one, other = fleet.gateways
    file = upload(one, b"text", name).json
    read = other.predict({"file": file["urls"]["get"]}).json["output"]["read"]
    assert read[1:] == [4, hashlib.sha256(b"text").hexdigest()]
    assert "/" not in read[0] and not read[0].startswith(".")


@pytest.mark.parametrize("id", ["*", ">", "a.b", "..", "abcdefgh*", "x" * 26, "%00", "about"])
def test_hostile_ids_are_not_found(fleet, id):
    upload(fleet.gateways[0], b"text")
    before = stored(fleet)
    for method, path in (("GET", ""), ("GET", "/download"), ("DELETE", "")):
        assert fleet.gateways[0].ask(method, f"/v1/files/{id}{path}").status == 404
    assert stored(fleet) == before


def half(server, data):
    """Begin an upload that announces more than it sends."""
    client = socket.create_connection(("127.0.0.1", server.port))
    head = "POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    part = '--b\r\nContent-Disposition: form-data; name="content"; filename="half"\r\n\r\n'
    length = len(part) + len(data) + 100
    client.sendall(f"{head}Content-Length: {length}\r\n\r\n{part}".encode() + data)
    return client


def test_a_client_that_goes_away_leaves_nothing(fleet):
    before = stored(fleet)
    client = half(fleet.gateways[0], bytes(2 * MIB))
    until("a part is stored", lambda: stored(fleet)[1] > before[1] + MIB)
    client.close()
    until("nothing is left", lambda: stored(fleet) == before)


def test_what_a_killed_gateway_had_half_of_is_never_seen(start_fleet):
    fleet = start_fleet(MODEL, workers=1)
    one, other = fleet.gateways
    client = half(one, bytes(2 * MIB))
    until("a part is stored", lambda: stored(fleet)[1] > MIB)
    assert other.get("/v1/files").json["results"] == []
    one.kill()
    client.close()
    assert other.get("/v1/files").json["results"] == []
    nats = Nats(fleet.broker.url)
    subjects = nats.api("STREAM.INFO.COGGO_U", subjects_filter=">")["state"]["subjects"]
    (id,) = {subject.split(".")[2] for subject in subjects}
    piece = nats.api("STREAM.MSG.GET.COGGO_U", last_by_subj=f"coggo.u.{id}.0")["message"]
    nats.close()
    assert b"Nats-TTL" in base64.b64decode(piece["hdrs"]), "the broker removes it in time"
    assert other.get(f"/v1/files/{id}").status == 404


def test_a_file_expires_by_the_broker_alone(fleet):
    """The lifetime of a description is a day: it is in the message, and no process is needed."""
    file = upload(fleet.gateways[0], b"text").json
    nats = Nats(fleet.broker.url)
    found = nats.api("STREAM.MSG.GET.COGGO_U", last_by_subj=f"coggo.u.{file['id']}.about")
    headers = base64.b64decode(found["message"]["hdrs"]).decode()
    nats.publish(f"coggo.u.{file['id']}.about", base64.b64decode(found["message"]["data"]),
                 Coggo_Format="1", Coggo_Object=f"{file['id']} 4 262144", Nats_TTL="1s")  # fmt: skip
    assert "Nats-TTL: 24h0m0s" in headers or "Nats-TTL: 86400" in headers, headers
    until("it is gone", lambda: fleet.gateways[1].get(f"/v1/files/{file['id']}").status == 404)
    nats.close()


def test_max_uploads_counts_the_files_of_all_servers(start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=0)
    one, other = (fleet.gateway("--max-uploads", "3MiB", "--name", fleet.name) for _ in range(2))
    assert upload(one, bytes(4 * MIB)).status == 507
    files = [upload(server, bytes(MIB)) for server in (one, other)]
    assert [file.status for file in files] == [201, 201]
    refused = upload(other, bytes(MIB))
    assert refused.status == 507 and "--max-uploads" in refused.json["detail"]
    assert one.ask("DELETE", f"/v1/files/{files[1].json['id']}").status == 204
    assert upload(other, bytes(MIB - 4096)).status == 201
    assert stored(fleet)[0] == 2 * 5


def test_a_file_larger_than_the_limit_is_refused(start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=0)
    gateway = fleet.gateway("--max-input-file", "300KiB", "--name", fleet.name)
    assert upload(gateway, bytes(300 * KIB)).status == 201
    before = stored(fleet)
    assert upload(gateway, bytes(300 * KIB + 1)).status == 413
    assert stored(fleet) == before


def test_a_full_broker_refuses_files_until_there_is_room(start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    gateway = fleet.gateways[0]
    nats = Nats(fleet.broker.url)
    config = nats.api("STREAM.INFO.COGGO_U")["config"]
    nats.api("STREAM.UPDATE.COGGO_U", **{**config, "max_bytes": 2 * MIB})
    refused = upload(gateway, bytes(4 * MIB))
    assert refused.status == 507
    assert refused.json["detail"] == "the queue's broker has no room left for the file"
    until("nothing is left", lambda: stored(fleet)[0] == 0)
    assert upload(gateway, bytes(MIB)).status == 201
    nats.api("STREAM.UPDATE.COGGO_U", **config)
    nats.close()
    assert upload(gateway, bytes(4 * MIB)).status == 201


def test_a_broker_that_dies_during_an_upload_leaves_no_file(start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    gateway = fleet.gateways[0]
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)

    def parts():
        yield b'--b\r\nContent-Disposition: form-data; name="content"\r\n\r\n' + bytes(2 * MIB)
        until("a part is stored", lambda: stored(fleet)[1] > MIB)
        fleet.broker.kill()
        yield bytes(4 * MIB) + b"\r\n--b--\r\n"

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    connection.request("POST", "/v1/files", parts(), kind, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
    connection.close()
    fleet.broker.start()
    until("it is back", lambda: gateway.get("/readyz").status == 200)
    assert gateway.get("/v1/files").json["results"] == []
    assert upload(gateway, b"again").status == 201


def test_without_the_broker_files_are_503(start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    gateway = fleet.gateways[0]
    file = upload(gateway, b"text").json
    fleet.broker.stop()
    path = f"/v1/files/{file['id']}"
    for method, at in (("GET", ""), ("GET", path), ("GET", path + "/download"), ("DELETE", path)):
        answer = gateway.ask(method, at or "/v1/files")
        assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1, (method, at)
    assert upload(gateway, b"text").status == 503
    fleet.broker.start()
    until("it is back", lambda: gateway.get(path + "/download").status == 200)


def test_a_worker_waits_for_the_broker_when_it_needs_a_file(start_fleet, tmp_path):
    """The prediction is delivered, and the broker dies before its file is read."""
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    gateway = fleet.gateways[0]
    file = upload(gateway, b"text").json["urls"]["get"]
    gateway.predict({"until": str(tmp_path / "go")}, ASYNC, id="busy")
    runs(gateway, "busy")
    assert gateway.predict({"file": file}, ASYNC, id="reads").status == 202
    (tmp_path / "go").touch()
    fleet.broker.kill()
    fleet.broker.start()
    until("it is back", lambda: gateway.get("/readyz").status == 200, 30)
    assert gateway.ended("reads", 40)["output"]["read"][1] == 4


def test_a_broker_that_pauses_while_a_file_is_read_fails_no_prediction(start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    gateway, worker = fleet.gateways[0], fleet.workers[0]
    data = bytes(48 * MIB)
    file = upload(gateway, data).json["urls"]["get"]
    assert gateway.predict({"file": file}, ASYNC, id="reads").status == 202
    until(
        "it is read", lambda: any(p.stat().st_size for d in worker.inputs() for p in d.rglob("*"))
    )
    fleet.broker.process.send_signal(signal.SIGSTOP)
    time.sleep(7)  # longer than a request to the broker may take
    fleet.broker.process.send_signal(signal.SIGCONT)
    assert gateway.ended("reads", 60)["output"]["read"][1] == len(data)


def test_a_removed_file_fails_the_prediction_that_needs_it(fleet):
    one, other = fleet.gateways
    file = upload(one, b"text").json
    assert other.ask("DELETE", f"/v1/files/{file['id']}").status == 204
    end = one.predict({"file": file["urls"]["get"]}).json
    assert end["status"] == "failed" and "404" in end["error"]


def test_pieces_of_a_request_are_removed_with_it(start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=1, name=unique_name())
    assert fleet.gateways[0].predict({"text": "x" * MIB}).status == 200
    nats = Nats(fleet.broker.url)

    def names():
        subjects = nats.api("STREAM.INFO.COGGO_F", subjects_filter=">")["state"].get("subjects", {})
        return {subject.split(".")[3].partition("-")[0] for subject in subjects}

    until("only the end is there", lambda: names() == {"end"})
    nats.close()
