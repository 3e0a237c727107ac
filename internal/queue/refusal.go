package queue

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
)

// The answers to clients: refusals, and why a prediction of a queue failed. docs/errors.md lists
// them.

// refuse refuses a request that may be accepted in a moment.
func refuse(c prediction.Code, message string) *prediction.Error {
	return prediction.RefuseFor(pool.RetrySoon, c, message)
}

func errDraining() error { return refuse(prediction.Draining, pool.ShuttingDown) }

func errUnreachable() error {
	return refuse(prediction.NotReady, "the queue can't be reached; try again later")
}

// errOnlyGateways refuses what a worker has no rights for; hint says what a client does at a
// gateway instead.
func errOnlyGateways(hint string) error {
	return refuse(prediction.NotReady, "this worker has rights for its own part of the queue only: "+hint)
}

func errMissing(asset string) error {
	return refuse(prediction.NotReady, fmt.Sprintf("the queue's broker does not have the %s; try again later", asset))
}

func errNotPermitted() error {
	return refuse(prediction.NotReady,
		"the queue's broker does not permit what this server needs for the request, see its log; try another server")
}

func errUnreadable() error {
	return refuse(prediction.NotReady,
		"this server can't read what the queue has stored here: a later version may have written it; try another server")
}

func errNoRoom() error {
	return refuse(prediction.NotReady, "the queue's broker has no room left; try again later")
}

func errNoModel() error {
	return refuse(prediction.NotReady,
		"no worker has ever served a model on this queue; try again later")
}

func errNeverServed(name string) error {
	return refuse(prediction.NotReady, fmt.Sprintf(
		"no worker has ever served %s on this queue, so its inputs are unknown; try again later", name))
}

func errUnknownModel(name string, names []string) error {
	return prediction.Refuse(prediction.NotFound, fmt.Sprintf(
		"this queue has no model %s; it has %s", name, listed(names)))
}

func errWhichQueue(names []string) error {
	return prediction.Refuse(prediction.NotFound, fmt.Sprintf(
		"this queue has several models: add ?name= with one of %s", listed(names)))
}

func errUnknownVersion(version string, names []string) error {
	return prediction.Refuse(prediction.NotFound, fmt.Sprintf(
		"no model of this queue has the version %s; there are %s", version, listed(names)))
}

func errOtherModel(name, version string) error {
	return prediction.Refuse(prediction.NotFound, fmt.Sprintf("%s is not a version of %s", version, name))
}

func errSeveralVersions(version string, names []string) error {
	return prediction.Refuse(prediction.NotFound, fmt.Sprintf(
		"several models have the version %s: give `version` as one of %s", version, listed(names)))
}

func errSeveralModels(names []string) error {
	return prediction.Refuse(prediction.NotFound, fmt.Sprintf(
		"this queue has several models: ask below /models/OWNER/NAME, or start the gateway with --name; there are %s",
		listed(names)))
}

// mostNames bounds the names in a message. GET /models has all.
const mostNames = 20

func listed(names []string) string {
	if len(names) > mostNames {
		names = append(slices.Clone(names[:mostNames]), "…")
	}
	return strings.Join(names, ", ")
}

func errFull(model string, waiting int) error {
	return refuse(prediction.QueueFull, fmt.Sprintf(
		"%d predictions wait in the queue of %s, and no more may, see --max-queue; try again later", waiting, model))
}

func errRunning(m prediction.Method) error {
	return prediction.Refuse(prediction.Conflict, "a "+m.Noun()+" with this id is running")
}

func errBeingCanceled(m prediction.Method) error {
	return refuse(prediction.Conflict, "the "+m.Noun()+" with this id is being canceled, "+
		"because its client has left; try again later")
}

func errJustEnded(m prediction.Method) error {
	return refuse(prediction.Conflict, "a "+m.Noun()+" with this id has just ended; try again")
}

func errInUse() error {
	return refuse(prediction.Conflict, "the id changes hands; try again")
}

func errEnded() error {
	return prediction.Refuse(prediction.NotFound, "no running prediction has this id")
}

func errGone() error {
	return prediction.Refuse(prediction.NotFound,
		"no prediction has this id; finished ones are kept for a while, see --retain-for")
}

func errCursor() error {
	return prediction.Refuse(prediction.NotFound,
		"no page has this cursor: it must be the `next` of an earlier page")
}

// Why a prediction failed.
const (
	workerLost = "the worker was lost before the prediction ended"
	notQueued  = "the prediction is no longer in the queue"
)

func lostTooOften(attempts int) string {
	return fmt.Sprintf("the worker was lost %d times while this ran", attempts)
}

// noLongerFits is why the input of an accepted prediction is refused by the worker that takes it.
func noLongerFits(e *prediction.Error) string {
	if len(e.Problems) == 0 {
		return "the input no longer fits the model: " + e.Message
	}
	return fmt.Sprintf("the input no longer fits the model: %v %s", e.Problems[0].Loc, e.Problems[0].Msg)
}
