package queue

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/schema"
)

// presenceEvery is how often a worker says that it is there, and presenceFor how long that counts.
const (
	presenceEvery = 10 * time.Second
	presenceFor   = 30 * time.Second
)

// Names below directoryPrefix and a model.
const (
	modelKey     = "model"
	workerPrefix = "worker-"
	janitorKey   = "janitor"
)

// modelEntry is what a worker says of its model. It stays when all workers have gone, so that
// inputs are checked without any.
type modelEntry struct {
	Name    string          `json:"name"`
	OpenAPI json.RawMessage `json:"openapi"`
	Python  string          `json:"python,omitempty"`
	Cog     string          `json:"cog,omitempty"`
	Files   int             `json:"max_input_files,omitempty"` // of one prediction; 0: no limit
	Since   time.Time       `json:"since,omitzero"`            // when the first worker offered it
}

// workerEntry is what a worker says of itself.
type workerEntry struct {
	Name     string    `json:"name"` // of the model
	Worker   string    `json:"worker"`
	Host     string    `json:"host"`
	Version  string    `json:"version"`
	Slots    int       `json:"slots"`
	Running  int       `json:"running"`
	Draining bool      `json:"draining,omitempty"`
	At       time.Time `json:"at"`
}

// model is one queue as this process knows it.
type model struct {
	schema.Model
	entry modelEntry
	heard time.Time // when its document came
}

// directory knows which models and workers there are. It follows the stream of the same name.
type directory struct {
	now func() time.Time

	mu      sync.Mutex             // guards the rest
	models  map[string]*model      // by token
	workers map[string]workerEntry // by subject
}

func newDirectory(now func() time.Time) *directory {
	return &directory{now: now, models: map[string]*model{}, workers: map[string]workerEntry{}}
}

// follow reads what is there, and then whatever changes until ctx is done. It returns once it has
// read what was there.
func (d *directory) follow(ctx context.Context, b *broker) error {
	s, err := b.js.Stream(ctx, directoryStream)
	if err != nil {
		return err
	}
	filter := directoryPrefix + b.models + ".>"
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return err
	}
	c, err := b.js.OrderedConsumer(ctx, directoryStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: []string{filter},
	})
	if err != nil {
		return err
	}
	read := make(chan struct{})
	var once sync.Once
	done := func() { once.Do(func() { close(read) }) }
	if len(info.State.Subjects) == 0 {
		done()
	}
	consuming, err := c.Consume(func(m jetstream.Msg) {
		d.hear(m.Subject(), m.Headers(), m.Data())
		if about, err := m.Metadata(); err == nil && about.NumPending == 0 {
			done()
		}
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, consuming.Stop)
	select {
	case <-read:
	case <-time.After(patience): // what there was has run out meanwhile
	case <-ctx.Done():
	}
	return nil
}

// hear takes one entry. An empty one says that the worker has gone, or that an operator has removed
// the model.
func (d *directory) hear(subject string, _ nats.Header, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	parts := strings.Split(subject, ".")
	switch parts[len(parts)-1] {
	case modelKey:
		d.hearModelLocked(parts[len(parts)-2], data)
		return
	case janitorKey:
		return
	}
	var w workerEntry
	if len(data) == 0 || json.Unmarshal(data, &w) != nil {
		delete(d.workers, subject)
		return
	}
	d.workers[subject] = w
}

func (d *directory) hearModelLocked(key string, data []byte) {
	if len(data) == 0 {
		delete(d.models, key)
		return
	}
	var e modelEntry
	if json.Unmarshal(data, &e) != nil || token(e.Name) != key {
		return
	}
	next := &model{entry: e, heard: d.now()} // others read the old one
	known := d.models[key]
	if known != nil && string(known.entry.OpenAPI) == string(e.OpenAPI) && known.entry.Files == e.Files {
		next.Document, next.heard = known.Document, known.heard
	} else {
		document, err := schema.Parse(e.OpenAPI)
		if err != nil {
			return
		}
		document.LimitFiles(e.Files)
		next.Document = document
	}
	next.Model = schema.Model{Name: e.Name, Since: e.Since, Document: next.Document}
	d.models[key] = next
}

// model returns what is known of a model, nil for an unknown one.
func (d *directory) model(name string) *model {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.models[token(name)]
}

// nameOf returns the name of the model that a subject names.
func (d *directory) nameOf(key string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.models[key]; m != nil {
		return m.Name
	}
	name, err := url.PathUnescape(key)
	if err != nil {
		return key
	}
	return name
}

// all returns all models, by name.
func (d *directory) all() []*model {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.SortedFunc(maps.Values(d.models), func(a, b *model) int {
		return strings.Compare(a.Name, b.Name)
	})
}

// present returns the workers of a model that are there now.
func (d *directory) present(name string) []workerEntry {
	d.mu.Lock()
	defer d.mu.Unlock()
	var there []workerEntry
	late := d.now().Add(-presenceFor)
	for subject, w := range d.workers {
		switch {
		case w.At.Before(late):
			delete(d.workers, subject)
		case w.Name == name:
			there = append(there, w)
		}
	}
	return there
}

// names returns the names of all models, in order.
func (d *directory) names() []string { return namesOf(d.all()) }

// announceModel publishes what a model is.
func (b *broker) announceModel(ctx context.Context, e modelEntry) error {
	data, err := json.Marshal(e)
	if err == nil {
		_, err = b.js.Publish(ctx, directoryPrefix+token(e.Name)+"."+modelKey, data)
	}
	return err
}

// announceWorker publishes that a worker is there; gone says that it leaves.
func (b *broker) announceWorker(ctx context.Context, e workerEntry, gone bool) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	keep := presenceFor
	if gone {
		data, keep = nil, time.Second
	}
	subject := directoryPrefix + token(e.Name) + "." + workerPrefix + token(e.Worker)
	_, err = b.js.Publish(ctx, subject, data, jetstream.WithMsgTTL(keep))
	return err
}
