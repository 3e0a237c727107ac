package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

type healthBody struct {
	Status      pool.Status     `json:"status"`
	Setup       setupBody       `json:"setup"`
	Version     versionBody     `json:"version"`
	Concurrency concurrencyBody `json:"concurrency"`
	Runners     []runnerBody    `json:"runners,omitempty"`
	Queue       *queueBody      `json:"queue,omitempty"`
	Unhealthy   string          `json:"user_healthcheck_error,omitempty"`
}

type setupBody struct {
	StartedAt   *string `json:"started_at"`
	CompletedAt *string `json:"completed_at"`
	Status      string  `json:"status"`
	Logs        string  `json:"logs"`
}

type versionBody struct {
	Coggo  string `json:"coggo"`
	Coglet string `json:"coglet"` // clients of coglet read it
	Cog    string `json:"cog,omitempty"`
	// coglet's name for the version of the package cog.
	PythonSDK string `json:"python_sdk,omitempty"`
	Python    string `json:"python,omitempty"`
}

// runnerBody describes one of several runners.
type runnerBody struct {
	Status      pool.Status     `json:"status"`
	PID         int             `json:"pid,omitempty"`
	Devices     string          `json:"devices,omitempty"`
	Concurrency concurrencyBody `json:"concurrency"`
}

// queueBody is the queue that the server shares with others.
type queueBody struct {
	Connected bool   `json:"connected"`
	Why       string `json:"-"` // /readyz has it
	Model     string `json:"model,omitempty"`
	Workers   int    `json:"workers"`
	Slots     int    `json:"slots"`
	Waiting   int    `json:"waiting"`
	Running   int    `json:"running"`
}

type concurrencyBody struct {
	Max     int `json:"max"`
	Current int `json:"current"`
}

// health always answers 200: the state is in the body. A client without the token does not read any
// text that the model wrote.
func (a *API) health(w http.ResponseWriter, r *http.Request) error {
	h := a.Supervisor.Health(r.Context(), a.named(r))
	if !a.showsToken(r) {
		writeJSON(w, http.StatusOK, readyBody{Status: h.Status})
		return nil
	}
	last := a.lastHealth.Load()
	same := last != nil && last.health.Summary == h.Summary &&
		slices.Equal(last.health.Runners, h.Runners) &&
		sameQueue(last.health.Queue, h.Queue)
	if !same {
		data, err := json.Marshal(a.healthBody(h))
		if err != nil {
			return err
		}
		last = &healthAnswer{h, data}
		a.lastHealth.Store(last)
	}
	writeRaw(w, http.StatusOK, last.body)
	return nil
}

func sameQueue(a, b *supervisor.QueueHealth) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// healthAnswer is the last answer. It is kept because probes ask often and the answer seldom
// changes.
type healthAnswer struct {
	health supervisor.Health
	body   []byte
}

func (a *API) healthBody(h supervisor.Health) healthBody {
	body := healthBody{
		Status: h.Status,
		Setup:  setupBody{Status: h.Setup.Status, Logs: h.Setup.Logs},
		Version: versionBody{
			Coggo: a.Version, Coglet: a.Version, Cog: h.Cog, PythonSDK: h.Cog, Python: h.Python,
		},
		Concurrency: concurrencyBody{h.Max, h.Current},
		Unhealthy:   h.Unhealthy,
	}
	for _, r := range h.Runners {
		concurrency := concurrencyBody{r.Max, r.Current}
		body.Runners = append(body.Runners, runnerBody{r.Status, r.PID, r.Devices, concurrency})
	}
	if h.Queue != nil {
		found := queueBody(*h.Queue)
		body.Queue = &found
	}
	if at := h.Setup.StartedAt; !at.IsZero() {
		text := prediction.Time(at)
		body.Setup.StartedAt = &text
	}
	if at := h.Setup.CompletedAt; !at.IsZero() {
		text := prediction.Time(at)
		body.Setup.CompletedAt = &text
	}
	return body
}

// live answers as long as the server runs.
func (a *API) live(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// readyBody is the answer to a readiness probe.
type readyBody struct {
	Status pool.Status `json:"status"`
	Detail string      `json:"detail,omitempty"`
}

// ready answers 200 if the server accepts predictions, even if they have to wait for a slot.
func (a *API) ready(w http.ResponseWriter, r *http.Request) error {
	h := a.Supervisor.Health(r.Context(), a.named(r))
	body, code := readyBody{Status: h.Status}, http.StatusOK
	if a.showsToken(r) {
		body.Detail = h.Unhealthy
	}
	if h.Draining {
		body.Detail = pool.ShuttingDown
	}
	lost := h.Queue != nil && !h.Queue.Connected
	if lost {
		body.Detail = h.Queue.Why
	}
	if h.Draining || lost || !h.Status.Accepting() {
		code = http.StatusServiceUnavailable
		retryAfter(w, h.RetryAfter)
	}
	writeJSON(w, code, body)
	return nil
}
