"""The page of a gateway: choose a model, see what waits and which worker ran it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from test_accessible import violations

from queue_harness import ASYNC, answers
from waiting import until


def start_worker(fleet, name, field):
    return fleet.worker(answers(name, field), name=name)


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    """Three models, a gateway without a name, and one with a name."""
    fleet = start_fleet_once()
    for name, field in {"acme/one": "first", "acme/two:1": "old", "acme/two:2": "new"}.items():
        start_worker(fleet, name, field)
    fleet.gateway()
    fleet.gateway("--name", "acme/one")
    for gateway in fleet.gateways:
        gateway.wait_models(3)
    return fleet


def open_page(page, server, path="/docs"):
    page.goto(f"http://127.0.0.1:{server.port}{path}")
    expect(page.locator("#main")).to_be_visible()


def run(page, output):
    page.click("#run")
    expect(page.locator("#status")).to_have_text("succeeded")
    expect(page.locator("#output")).to_have_text(output)


def test_a_gateway_without_a_name_asks_for_a_model(page, fleet):
    gateway = fleet.gateways[0]
    page.goto(f"http://127.0.0.1:{gateway.port}/docs")
    links = page.locator("#choose a")
    expect(links).to_have_text(["acme/one", "acme/two:1", "acme/two:2"])
    expect(page.locator("#choose-why")).to_contain_text("Several models")
    assert violations(page) == []
    links.filter(has_text="acme/two:1").click()
    expect(page).to_have_url(re.compile(r"/models/acme/two(:|%3A)1/docs$"))
    expect(page.locator("h1")).to_have_text("acme/two:1")
    page.get_by_label("old").fill("x")
    run(page, "acme/two:1 x")
    assert violations(page) == []


def test_another_model_has_another_form_and_stays_after_a_reload(page, fleet):
    open_page(page, fleet.gateways[0], "/models/acme/one/docs")
    page.locator("#input-first").fill("typed")
    page.locator("#model").select_option("acme/two:2")
    expect(page.locator("h1")).to_have_text("acme/two:2")
    page.locator("#input-new").fill("x")
    run(page, "acme/two:2 x")
    page.reload()
    expect(page.locator("h1")).to_have_text("acme/two:2")
    expect(page.locator("#output")).to_have_text("acme/two:2 x")
    expect(page.locator("#recent li")).to_have_count(1)
    page.locator("#code summary").click()
    expect(page.locator("#snippet")).to_contain_text("/models/acme/two")


def test_the_page_of_a_named_gateway_and_of_a_worker_offer_the_others(page, fleet):
    for server in (fleet.gateways[1], fleet.workers[0]):
        open_page(page, server)
        expect(page.locator("h1")).to_have_text("acme/one")
        expect(page.locator("#model")).to_have_value("acme/one")
        page.locator("#input-first").fill("x")
        run(page, "acme/one x")
        page.locator("#model").select_option("acme/two:1")
        expect(page.locator("#input-old")).to_be_visible()
        page.locator("#model").select_option("acme/one")
        expect(page.locator("#input-first")).to_be_visible()


def test_an_unknown_model_is_named_with_those_that_exist(page, fleet):
    page.goto(f"http://127.0.0.1:{fleet.gateways[0].port}/models/acme/none/docs")
    expect(page.locator("#choose-why")).to_contain_text("no model acme/none")
    page.locator("#choose a").first.click()
    expect(page.locator("h1")).to_have_text("acme/one")


def test_the_page_says_which_worker_ran_it(page, fleet):
    open_page(page, fleet.gateways[0], "/models/acme/one/docs")
    run(page, "acme/one ")
    shown = page.locator("#worker")
    expect(shown).to_have_text(re.compile(r"^on \S+/\w{6}$"))
    id = page.url.partition("#")[2]
    worker = fleet.gateways[1].get(f"/predictions/{id}").headers["coggo-worker"]
    expect(shown).to_have_attribute("title", worker)
    assert worker.rpartition("/")[2] in fleet.workers[0].log()


def test_the_page_says_what_a_prediction_waits_for(page, start_fleet, tmp_path):
    fleet = start_fleet()
    worker = start_worker(fleet, "acme/one", "first")
    gateway = fleet.gateway()
    fleet.wait_workers(1)
    given = {"until": str(tmp_path / "end")}
    gateway.predict(given, ASYNC, id="runs")
    until("it runs", lambda: gateway.health()["queue"]["running"] == 1)
    gateway.predict({}, ASYNC, id="before")
    open_page(page, gateway)
    expect(page.locator("#model")).to_be_hidden()
    expect(page.locator("#queue")).to_have_text("1 worker · 1 waiting · 1 running")
    page.click("#run")
    expect(page.locator("#place")).to_have_text("Waiting for a free slot: 1 is before it.")
    expect(page.locator("#queue")).to_have_text("1 worker · 2 waiting · 1 running")
    expect(page.locator("#worker")).to_be_hidden()
    assert violations(page) == []
    (tmp_path / "end").touch()
    expect(page.locator("#status")).to_have_text("succeeded")
    expect(page.locator("#worker")).to_be_visible()
    worker.close()
    fleet.wait_workers(0)
    page.click("#run")
    expect(page.locator("#place")).to_have_text("No worker is there: it runs when one comes.")
    expect(page.locator("#queue")).to_have_text("no worker · 1 waiting · 0 running")
    assert violations(page) == []
    start_worker(fleet, "acme/one", "first")
    expect(page.locator("#status")).to_have_text("succeeded")


def test_a_page_without_any_worker_waits_for_the_first_one(page, start_fleet):
    fleet = start_fleet()
    gateway = fleet.gateway(ready=False)
    until("it is connected", lambda: "connected to the queue" in gateway.log())
    page.goto(f"http://127.0.0.1:{gateway.port}/docs")
    expect(page.locator("#setup-title")).to_have_text("Waiting for the first worker")
    expect(page.locator("#setup-logs")).to_contain_text("no worker has ever served")
    start_worker(fleet, "acme/one", "first")
    expect(page.locator("#main")).to_be_visible()
    run(page, "acme/one ")
