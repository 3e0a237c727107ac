"""Replicate's published Python client, unchanged, against this server:
docs/http-api.md#replicates-clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import pathlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import replicate
from replicate.exceptions import ModelError, ReplicateError

# The client opens the files that it is given as paths, and leaves them open.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

MODELS = pathlib.Path(__file__).resolve().parents[1] / "models"


@pytest.fixture(scope="module")
def server(start_once, tmp_path_factory):
    return start_once(model_dir=_copy(tmp_path_factory), predict="v1.py:Predictor")


@pytest.fixture(scope="module")
def streamer(start_once, tmp_path_factory):
    return start_once(model_dir=_copy(tmp_path_factory), predict="v1.py:Streamer")


def _copy(directories):
    directory = directories.mktemp("model")
    (directory / "v1.py").write_bytes((MODELS / "v1.py").read_bytes())
    return directory


@contextlib.contextmanager
def client_of(server, token="any"):
    with httpx.HTTPTransport() as transport:
        made = replicate.Client(
            api_token=token, base_url=f"http://127.0.0.1:{server.port}", transport=transport
        )
        made.poll_interval = 0.02
        yield made


@pytest.fixture
def client(server):
    with client_of(server) as made:
        yield made


@pytest.fixture
def words(streamer):
    with client_of(streamer) as made:
        yield made


VERSION = "0" * 64


@pytest.mark.parametrize("ref", ["acme/thing", f"acme/thing:{VERSION}"])
def test_run(client, ref):
    assert client.run(ref, input={"text": "hi ", "n": 2}) == "hi hi "


@pytest.mark.parametrize("wait", [False, True, 1])
def test_run_waits_for_a_long_prediction(client, wait):
    assert (
        client.run(f"acme/thing:{VERSION}", input={"text": "slow", "pause": 1.2}, wait=wait)
        == "slow"
    )


def test_run_of_a_list_gives_a_list(client):
    assert client.run(f"acme/thing:{VERSION}", input={"text": "a", "n": 2, "end": "list"}) == [
        "a",
        "a",
    ]


def test_run_of_an_iterator_gives_an_iterator(words):
    output = words.run(f"acme/thing:{VERSION}", input={"text": "a b"})
    assert iter(output) is output and list(output) == ["a ", "b "]


def test_run_of_a_slow_iterator_gives_every_item(words):
    output = words.run(f"acme/thing:{VERSION}", input={"text": "a b c d", "pause": 0.4}, wait=1)
    assert list(output) == ["a ", "b ", "c ", "d "]
    output = words.run(f"acme/thing:{VERSION}", input={"text": "a b c", "pause": 0.1}, wait=False)
    assert list(output) == ["a ", "b ", "c "]


def test_run_asynchronously(client):
    async def ask():
        async with httpx.AsyncHTTPTransport() as transport:
            base = str(client._client.base_url)
            other = replicate.Client(api_token="any", base_url=base, transport=transport)
            return await other.async_run("acme/thing", input={"text": "later"})

    assert asyncio.run(ask()) == "later"


def test_runs_at_once_wait_for_each_other(client):
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(client.run, "acme/thing", input={"text": str(n), "pause": 0.05})
            for n in range(8)
        ]
        assert [run.result() for run in asked] == [str(n) for n in range(8)]


def test_a_failing_model(client):
    with pytest.raises(ModelError, match="boom") as caught:
        client.run("acme/thing", input={"end": "raise"})
    assert caught.value.prediction.status == "failed"
    assert "Traceback" in caught.value.prediction.logs


def test_stream(words):
    events = list(words.stream("acme/thing", input={"text": "a b\nc \rd"}))
    assert "".join(str(e) for e in events) == "a b\nc \nd "
    assert [e.event.value for e in events if e.event.value != "logs"] == ["output"] * 3 + ["done"]
    assert "".join(e.data for e in events if e.event.value == "logs") == "done\n"
    assert events[-1].data == "{}"


def test_stream_of_a_failing_model(words):
    seen = []
    with pytest.raises(RuntimeError, match="boom"):
        for event in words.stream("acme/thing", input={"text": "a b", "end": "raise"}):
            seen.append(str(event))
    assert "".join(seen) == "a b "


def test_stream_of_a_prediction_that_has_ended(words):
    prediction = words.predictions.create(version=VERSION, input={"text": "a b"})
    prediction.wait()
    assert "".join(str(e) for e in prediction.stream()) == "a b "


def test_stream_of_a_model_with_one_value(client):
    assert "".join(str(e) for e in client.stream("acme/thing", input={"text": "one"})) == "one"


def test_create_get_and_wait(client, server):
    prediction = client.predictions.create(version=VERSION, input={"text": "hi", "pause": 0.1})
    assert prediction.status == "starting" and prediction.output is None
    assert prediction.input == {"text": "hi", "pause": 0.1}
    base = f"http://127.0.0.1:{server.port}/v1/predictions/{prediction.id}"
    assert prediction.urls["get"] == base and prediction.urls["cancel"] == base + "/cancel"
    assert prediction.urls["stream"].startswith(base + "/stream")
    prediction.wait()
    assert (prediction.status, prediction.output, prediction.error, prediction.logs) == (
        "succeeded",
        "hi",
        None,
        "said hi\n",
    )
    assert prediction.metrics["predict_time"] > 0 and prediction.completed_at
    again = client.predictions.get(prediction.id)
    assert again.dict() == prediction.dict()
    assert len(again.version) == 64


def test_create_by_model_and_by_deployment(client):
    made = client.models.predictions.create(model=("acme", "thing"), input={"text": "m"})
    made.wait()
    assert (made.model, made.output) == ("acme/thing", "m")
    made = client.deployments.predictions.create("acme/live", input={"text": "d"})
    made.wait()
    assert (made.model, made.output) == ("acme/live", "d")


def test_list_and_its_pages(start, tmp_path_factory):
    server = start(model_dir=_copy(tmp_path_factory), predict="v1.py:Predictor")
    for n in range(105):
        server.predict({"n": n}, id=f"p{n}")
    with client_of(server) as client:
        ids = [p.id for page in pages(client) for p in page.results]
    assert ids == [f"p{n}" for n in reversed(range(105))]


def pages(client):
    page = client.predictions.list()
    yield page
    while page.next:
        page = client.predictions.list(page.next)
        yield page


def test_cancel(client):
    prediction = client.predictions.create(version=VERSION, input={"pause": 60})
    prediction.cancel()
    prediction.wait()
    assert prediction.status == "canceled" and prediction.completed_at
    prediction.cancel()
    assert prediction.status == "canceled", "a second cancel does no harm"


def test_a_file_as_input(client, tmp_path):
    path = tmp_path / "in é.txt"
    path.write_text("contents")
    with path.open("rb") as file:
        assert client.run("acme/thing", input={"file": file})["text"] == "contents"
    assert client.run("acme/thing", input={"file": path})["text"] == "contents"
    seen = client.run(
        "acme/thing", input={"file": io.BytesIO(b"memory")}, file_encoding_strategy="base64"
    )
    assert seen["text"] == "memory"


def test_uploaded_files(client, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("mine")
    made = client.files.create(path, metadata={"a": 1})
    assert (made.name, made.size, made.content_type, made.metadata) == (
        "mine.txt",
        4,
        "text/plain",
        {"a": 1},
    )
    assert client.files.get(made.id).dict() == made.dict()
    assert made.id in [f.id for f in client.files.list()]
    assert client.run("acme/thing", input={"file": made.urls["get"]}) == {
        "name": "mine.txt",
        "text": "mine",
    }
    assert client.files.delete(made.id) is True
    with pytest.raises(ReplicateError) as caught:
        client.files.get(made.id)
    assert caught.value.status == 404


def test_a_file_as_output(client):
    output = client.run("acme/thing", input={"text": "written", "end": "file"})
    assert output.read() == b"written"


def test_a_webhook_has_the_object_that_the_client_knows(client, receiver):
    made = client.predictions.create(
        version=VERSION,
        input={"text": "w"},
        webhook=receiver.url,
        webhook_events_filter=["start", "completed"],
    )
    last = receiver.wait_terminal()
    assert [b["status"] for b in receiver.got] == ["processing", "succeeded"]
    made.wait()
    known = replicate.prediction.Prediction(**last)
    assert known.dict() == made.dict()


def test_a_signed_webhook_is_valid_for_the_client(start, receiver, tmp_path_factory):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    server = start(
        "", "--webhook-secret", secret, model_dir=_copy(tmp_path_factory), predict="v1.py:Predictor"
    )
    with client_of(server) as client:
        client.predictions.create(version=VERSION, input={}, webhook=receiver.url)
    receiver.wait_terminal()
    for headers, body in zip(receiver.headers, receiver.bodies):
        replicate.webhook.Webhooks.validate(
            headers=headers,
            body=body.decode(),
            secret=replicate.webhook.WebhookSigningSecret(key=secret),
        )


def test_refused_input_reads_like_in_production(client):
    with pytest.raises(ReplicateError) as caught:
        client.predictions.create(version=VERSION, input={"n": "many", "pause": "long"})
    assert (caught.value.status, caught.value.title) == (422, "Input validation failed")
    assert caught.value.detail.count("- input.") == 2 and "input.n" in caught.value.detail


def test_an_unknown_prediction_is_not_found(client):
    for ask in (
        client.predictions.get,
        client.predictions.cancel,
        client.files.get,
        client.files.delete,
    ):
        with pytest.raises(ReplicateError) as caught:
            ask("unknown")
        assert caught.value.status == 404 and caught.value.detail


def test_the_model_and_its_versions(client):
    model = client.models.get("acme/thing")
    assert (model.id, model.latest_version.openapi_schema["openapi"]) == ("acme/thing", "3.0.2")
    (version,) = model.versions.list()
    assert version.id == model.latest_version.id and len(version.id) == 64
    assert model.versions.get(version.id).openapi_schema == version.openapi_schema
    assert client.run(version, input={"text": "v"}) == "v"


def test_the_token_is_the_one_of_the_server(start, tmp_path_factory):
    server = start(
        model_dir=_copy(tmp_path_factory),
        predict="v1.py:Streamer",
        env={"COGGO_AUTH_TOKEN": "t0ken"},
    )
    with client_of(server, "t0ken") as client:
        assert "".join(str(e) for e in client.stream("acme/thing", input={"text": "a b"})) == "a b "
    with client_of(server, "other") as client, pytest.raises(ReplicateError) as caught:
        client.run("acme/thing", input={})
    assert caught.value.status == 401


def test_other_headers_than_the_clients_own(server):
    """Headers that the client does not send: without Prefer the answer comes at once, with a wait
    when the prediction has ended.
    """
    answer = server.ask(
        "POST", "/v1/predictions", {"version": VERSION, "input": {"text": "hi", "pause": 0.2}}
    )
    assert (answer.status, answer.json["status"], answer.json["source"]) == (201, "starting", "api")
    server.ended(answer.json["id"])
    answer = server.ask(
        "POST", "/v1/predictions", {"version": VERSION, "input": {"text": "hi"}}, Prefer="wait=5"
    )
    assert (answer.status, answer.json["output"]) == (201, "hi")
    answer = server.ask("POST", "/v1/files", b"x", Content_Type="text/plain")
    assert answer.status == 415 and answer.json["title"]


FORM = """--b\r
Content-Disposition: form-data; name="{name}"; filename="a.txt"\r
\r
contents\r
{more}--b--\r
"""

METADATA = """--b\r
Content-Disposition: form-data; name="metadata"\r
\r
{value}\r
"""


@pytest.mark.parametrize(
    ("form", "status", "field"),
    [
        (FORM.format(name="content", more=METADATA.format(value='{"a": 1}')), 201, ""),
        (FORM.format(name="other", more=""), 422, "content"),
        (FORM.format(name="content", more=METADATA.format(value="null")), 422, "metadata"),
        (FORM.format(name="content", more=METADATA.format(value="[1]")), 422, "metadata"),
        (FORM.format(name="content", more="")[:-8], 400, ""),
    ],
)
def test_forms_of_files(server, form, status, field):
    before = len(server.get("/v1/files").json["results"])
    answer = server.ask("POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=b")
    assert answer.status == status, answer.body
    assert [f["field"] for f in answer.json.get("invalid_fields", [])] == ([field] if field else [])
    after = len(server.get("/v1/files").json["results"])
    assert after - before == (status == 201), "a refused upload is not stored"
