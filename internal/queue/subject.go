package queue

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The subjects, without the tokens for a model and a prediction that follow.
const (
	askedPrefix     = "coggo.q." // requests: model, lane, prediction
	statePrefix     = "coggo.p." // states: model, prediction
	storedPrefix    = "coggo.s." // states once the broker has stored them: model, prediction
	controlPrefix   = "coggo.c." // to the worker that runs a prediction: model, prediction
	hookPrefix      = "coggo.h." // terminal webhooks: model, prediction
	directoryPrefix = "coggo.w." // what workers say of themselves: model, and a name
	objectPrefix    = "coggo.f." // large requests and ends: model, object, number of the piece
	uploadPrefix    = "coggo.u." // uploaded files: id, and the number of the piece or aboutKey
)

// lane is the only one there is. The token keeps the place of lanes for urgent or for cheap work.
const lane = "0"

// maxToken bounds a token, because a consumer is named like one and its name becomes that of a
// directory in the broker.
const maxToken = 96

// token returns s as one token of a subject. Bytes other than letters, digits, - and _ are
// percent-encoded, because dots, stars and blanks mean something in subjects. A string that would
// become too long is replaced by = and its SHA-256.
func token(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	if b.Len() == 0 || b.Len() > maxToken {
		sum := sha256.Sum256([]byte(s))
		return "=" + hex.EncodeToString(sum[:])
	}
	return b.String()
}

// place is where the messages of one prediction go.
type place struct{ model, key string }

// placeOf returns the place of a prediction of a model.
func placeOf(model, id string) place { return place{token(model), token(id)} }

func (p place) asked() string   { return askedPrefix + p.model + "." + lane + "." + p.key }
func (p place) state() string   { return statePrefix + p.model + "." + p.key }
func (p place) stored() string  { return storedPrefix + p.model + "." + p.key }
func (p place) control() string { return controlPrefix + p.model + "." + p.key }
func (p place) hook() string    { return hookPrefix + p.model + "." + p.key }

// ownerSubject is where a worker answers which runs it still has. It is a level deeper than what
// controls these runs, so that the broker says at once if that worker has gone.
func ownerSubject(model, process string) string {
	return controlPrefix + model + ".owner." + token(process)
}

// askedIn matches the request with this key in the queue of a model, or with * in whatever queue it
// is: ids are unique over all.
func askedIn(model, key string) string { return askedPrefix + model + ".*." + key }

// stateIn matches the state with this key.
func stateIn(model, key string) string { return statePrefix + model + "." + key }

// inboxes is the prefix of the subjects on which the workers of a model get their answers. Each
// model has its own, because a user that may listen to all inboxes gets the messages of all models.
func inboxes(model string) string { return "_INBOX." + model }

// placeIn returns the place that the subject of a request, a state or a control message names.
func placeIn(subject string) place {
	tokens := strings.Split(subject, ".")
	return place{tokens[2], tokens[len(tokens)-1]}
}
