package queue

import (
	"context"
	"encoding/json"
	"maps"
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
	entry    modelEntry
	document *schema.Document
	since    time.Time
}

// directory knows which models and workers there are. It follows the stream of the same name.
type directory struct {
	now func() time.Time

	mu      sync.Mutex // guards the rest
	models  map[string]*model
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

// hear takes one entry. An empty one says that the worker has gone.
func (d *directory) hear(subject string, _ nats.Header, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	parts := strings.Split(subject, ".")
	switch parts[len(parts)-1] {
	case modelKey:
		d.hearModelLocked(data)
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

func (d *directory) hearModelLocked(data []byte) {
	var e modelEntry
	if json.Unmarshal(data, &e) != nil {
		return
	}
	known := d.models[e.Name]
	if known != nil && string(known.entry.OpenAPI) == string(e.OpenAPI) && known.entry.Files == e.Files {
		d.models[e.Name] = &model{entry: e, document: known.document, since: known.since} // others read the old one
		return
	}
	document, err := schema.Parse(e.OpenAPI)
	if err != nil {
		return
	}
	document.LimitFiles(e.Files)
	d.models[e.Name] = &model{entry: e, document: document, since: d.now()}
}

// model returns what is known of a model, nil for an unknown one.
func (d *directory) model(name string) *model {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.models[name]
}

// names returns the names of all models, in order.
func (d *directory) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.models))
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
	_, err = b.js.Publish(ctx, directoryPrefix+token(e.Name)+"."+workerPrefix+token(e.Worker), data, jetstream.WithMsgTTL(keep))
	return err
}
