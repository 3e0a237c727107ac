package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The assets in the broker. A process that starts makes those that are missing, and leaves the
// others as they are.
const (
	askedStream     = "COGGO_Q" // requests that have not ended
	stateStream     = "COGGO_P" // the state of each prediction
	hookStream      = "COGGO_H" // terminal webhooks that are owed
	directoryStream = "COGGO_W" // models and workers
	largeStream     = "COGGO_F" // requests and ends that are too large for a message
	uploadStream    = "COGGO_U" // files of /v1/files
	hookConsumer    = "hooks"
)

// ackWait is how long a worker may be silent about a message before another one gets it.
const ackWait = 10 * time.Second

// heartbeat is how often a process says that it still has a message whose consumer has this
// AckWait. Three fit into it, so one or two may be lost.
func heartbeat(ackWait time.Duration) time.Duration { return ackWait * 3 / 10 }

// The oldest broker that knows a lifetime for each message, batches of direct gets, and limits of
// pulls that can be raised.
const oldestMajor, oldestMinor = 2, 12

// patience is how long a request to the broker may take before it counts as lost.
const patience = 5 * time.Second

// largePatience is the same for a request with a large body.
const largePatience = time.Minute

// broker is the connection to the broker, and what is asked of it.
type broker struct {
	nc        *nats.Conn
	js        jetstream.JetStream
	states    jetstream.Stream
	requests  jetstream.Stream
	large     jetstream.Stream
	uploads   jetstream.Stream
	retain    time.Duration // how long ends are kept
	replicas  int
	narrow    bool                   // this user has rights for one model only, see rights.go
	models    string                 // the token of that model, else *; set before the queue is open
	probing   atomic.Bool            // a refusal is an answer
	refused   atomic.Pointer[string] // the last thing that the broker did not permit
	refusedAt atomic.Int64           // nanoseconds from 1970 to that
	silent    atomic.Pointer[error]  // it is connected and does not do what it is asked for: see watchBroker
	since     atomic.Int64           // nanoseconds from 1970 to the last reconnect; without a connection MaxInt64
	stored    func(time.Duration)    // called with how long a publish took
	log       *slog.Logger
}

// connectFor is how long one attempt to connect may take.
const connectFor = 2 * time.Second

// dial connects in the background: the broker may start after this process, and come and go.
func dial(c Config, name string, log *slog.Logger, onReconnect func()) (*broker, error) {
	b := &broker{replicas: max(1, c.Replicas), retain: c.RetainFor, stored: c.Stored, models: "*", log: log}
	said := map[string]bool{} // failures of this outage; the callbacks run one after the other
	options := []nats.Option{
		nats.Name(name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.Timeout(connectFor),
		nats.PingInterval(5 * time.Second), // a broker that hangs is left after 10 s
		nats.MaxPingsOutstanding(2),
		// Without a buffer a request fails at once while there is no broker. From a buffer it would
		// go out later, when its client has long been told that it was not accepted.
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(b.onError),
		nats.IgnoreAuthErrorAbort(), // the user may be added later
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if text := hinted(err); !said[text] {
				said[text] = true
				log.Warn("the queue's broker can't be reached: trying again", "error", text)
			}
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.since.Store(math.MaxInt64)
			if err != nil {
				log.Warn("the queue's broker is gone", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("the queue's broker is back", "broker", nc.ConnectedUrlRedacted())
			clear(said)
			b.since.Store(time.Now().UnixNano())
			b.silent.Store(nil) // this may be another node
			onReconnect()
		}),
	}
	if c.Worker {
		options = append(options, nats.CustomInboxPrefix(inboxes(token(c.Name))))
	}
	if c.Creds != "" {
		options = append(options, credentials(c.Creds))
	}
	if c.CA != "" {
		options = append(options, nats.RootCAs(c.CA))
	}
	var err error
	if b.nc, err = nats.Connect(c.URL, options...); err != nil {
		return nil, fmt.Errorf("--queue: %w", err)
	}
	// The client bounds its unanswered publishes, and forgets those whose answer was lost only so.
	b.js, err = jetstream.New(b.nc, jetstream.WithPublishAsyncTimeout(patience))
	return b, err
}

// hinted returns why there is no connection, with the setting that may be wrong.
func hinted(err error) string {
	hint := ""
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		hint = ": give a user and a password in --queue, or --queue-creds"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		hint = ": name who has signed its certificate with --queue-ca"
	}
	return err.Error() + hint
}

// credentials reads a file with a JWT and its key, or with the seed of an NKey alone.
func credentials(path string) nats.Option {
	if data, err := os.ReadFile(path); err == nil && strings.HasPrefix(strings.TrimSpace(string(data)), "SU") {
		option, err := nats.NkeyOptionFromSeed(path)
		if err == nil {
			return option
		}
		return func(*nats.Options) error { return fmt.Errorf("--queue-creds: %w", err) }
	}
	return nats.UserCredentials(path)
}

// onError hears of what no request is answered with. A missing right is one of these: the request
// itself only gets no answer.
func (b *broker) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		text := err.Error()
		b.refused.Store(&text)
		if b.probing.Load() {
			return
		}
		b.refusedAt.Store(time.Now().UnixNano())
	}
	b.log.Warn("the queue's broker reports an error", "error", err)
}

// connected reports whether there is a broker now.
func (b *broker) connected() bool { return b.nc.IsConnected() }

// lookEvery is how often a process looks whether the broker answers.
const lookEvery = 5 * time.Second

// noKey is the key of no prediction: a % in a token has two digits behind it.
const noKey = "%"

// answers asks the broker for a state and a request that do not exist. A cluster that has lost the
// majority of its nodes keeps its connections, and does not answer.
func (b *broker) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := b.state(ctx, noKey)
	if err == nil {
		_, _, err = b.asked(ctx, noKey)
	}
	return err
}

// usable returns why this broker can't carry a queue: it is too old, or has no JetStream.
func (b *broker) usable(ctx context.Context) error {
	if version := b.nc.ConnectedServerVersion(); olderThan(version, oldestMajor, oldestMinor) {
		return unfit{fmt.Errorf("the broker is nats-server %s; the queue needs %d.%d or later",
			version, oldestMajor, oldestMinor)}
	}
	ctx, cancel := context.WithTimeout(ctx, attempt) // a cluster without a leader does not answer
	defer cancel()
	_, err := b.js.AccountInfo(ctx)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled),
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return unfit{fmt.Errorf("the broker has no JetStream for this user: "+
			"start nats-server with -js, or enable it for the account: %w", err)}
	}
	return nil // other errors say nothing of the broker: this user may only not be permitted to ask
}

// unfit is why a broker can never carry a queue.
type unfit struct{ error }

// Unwrap returns the error itself.
func (u unfit) Unwrap() error { return u.error }

// hopeless reports whether an error of the preparation will be the same next time: the broker is
// not fit, or does not permit what is needed.
func (b *broker) hopeless(err error) bool {
	const noPeers, noCluster = 10005, 10074 // nodes of the cluster are missing now; it isn't a cluster
	const notFound = 404                    // another process is making it at this moment
	var refusal *jetstream.APIError
	return b.connected() && (errors.As(err, new(unfit)) || b.refused.Load() != nil ||
		errors.As(err, &refusal) && refusal.ErrorCode != noPeers &&
			(refusal.ErrorCode == noCluster || refusal.Code >= 400 && refusal.Code < 500 && refusal.Code != notFound))
}

// olderThan compares the start of a version such as 2.15.1-beta.
func olderThan(version string, major, minor int) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	if errA != nil || errB != nil {
		return false
	}
	return a < major || a == major && b < minor
}

// assets makes what is missing in the broker.
func (b *broker) assets(ctx context.Context) (err error) {
	// A replica that lags behind may answer a direct get. A single broker does not have replicas.
	direct := b.replicas == 1
	if b.requests, err = b.stream(ctx, jetstream.StreamConfig{
		Name: askedStream, Subjects: []string{askedPrefix + ">"}, Retention: jetstream.WorkQueuePolicy,
		AllowDirect: direct, Discard: jetstream.DiscardNew, Description: "Coggo: predictions that have not ended",
	}); err != nil {
		return err
	}
	if b.states, err = b.stream(ctx, jetstream.StreamConfig{
		Name: stateStream, Subjects: []string{statePrefix + ">"}, MaxMsgsPerSubject: 1, AllowMsgTTL: true,
		AllowDirect: direct, Discard: jetstream.DiscardNew, Description: "Coggo: the state of each prediction",
		// The broker announces a state only once it is stored, so the end of a worker that has lost
		// its claim never reaches a client.
		RePublish: &jetstream.RePublish{Source: statePrefix + ">", Destination: storedPrefix + ">"},
	}); err != nil {
		return err
	}
	if _, err = b.stream(ctx, jetstream.StreamConfig{
		Name: hookStream, Subjects: []string{hookPrefix + ">"}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, Description: "Coggo: terminal webhooks that are owed",
	}); err != nil {
		return err
	}
	if _, err = b.stream(ctx, jetstream.StreamConfig{
		Name: directoryStream, Subjects: []string{directoryPrefix + ">"}, MaxMsgsPerSubject: 1, AllowMsgTTL: true,
		Description: "Coggo: models and workers",
	}); err != nil {
		return err
	}
	if _, err = b.consumer(ctx, hookStream, hookConsumer, hookPrefix+">"); err != nil {
		return err
	}
	for _, pieces := range []struct {
		name, prefix, what string
		stream             *jetstream.Stream
	}{
		{largeStream, objectPrefix, "large requests and ends", &b.large},
		{uploadStream, uploadPrefix, "uploaded files", &b.uploads},
	} {
		if *pieces.stream, err = b.stream(ctx, jetstream.StreamConfig{
			Name: pieces.name, Subjects: []string{pieces.prefix + ">"}, MaxMsgsPerSubject: 1, AllowMsgTTL: true,
			AllowDirect: direct, Discard: jetstream.DiscardNew, Description: "Coggo: " + pieces.what,
		}); err != nil {
			return err
		}
	}
	return nil
}

func (b *broker) stream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c.Storage, c.Replicas = jetstream.FileStorage, b.replicas
	s, err := b.js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.js.CreateStream(ctx, c)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			s, err = b.js.Stream(ctx, c.Name)
		}
	}
	return s, b.explain("stream "+c.Name, err)
}

// consumer returns the consumer of a stream that many processes share.
func (b *broker) consumer(ctx context.Context, stream, name, filter string) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := b.js.Consumer(ctx, stream, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = b.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
			Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
			MaxDeliver:    -1,
			MaxAckPending: -1,   // the default of 1,000 would stop a large fleet
			MaxWaiting:    8192, // pulls at once, one for each free slot; the default is 512
			Replicas:      0,    // as many as the stream has, whoever made that
		})
		if errors.Is(err, jetstream.ErrConsumerExists) {
			c, err = b.js.Consumer(ctx, stream, name)
		}
	}
	return c, b.explain("consumer "+name+" of the stream "+stream, err)
}

// explain adds to an error which asset is missing, and what the broker did not permit.
func (b *broker) explain(asset string, err error) error {
	if err == nil {
		return nil
	}
	if refused := b.refused.Load(); refused != nil {
		return fmt.Errorf("the queue needs the %s: %w: the broker reports %s", asset, err, *refused)
	}
	return fmt.Errorf("the queue needs the %s: %w", asset, err)
}

// wrongSequence reports that somebody else has changed the state, or asked for the id, before.
func wrongSequence(err error) bool {
	var e *jetstream.APIError
	return errors.As(err, &e) && (e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// missing is an error because the broker does not have an asset.
type missing struct {
	asset string // such as "stream COGGO_P"
	error
}

// Unwrap returns the error itself.
func (m missing) Unwrap() error { return m.error }

// lacks names the asset in the error of a request to it, if that says that it is not there. The
// node of a cluster that has it may be away.
func lacks(asset string, err error) error {
	for _, absent := range []error{
		jetstream.ErrStreamNotFound, jetstream.ErrConsumerNotFound, jetstream.ErrNoStreamResponse, nats.ErrNoResponders,
	} {
		if errors.Is(err, absent) {
			return missing{asset, err}
		}
	}
	return err
}

// lacksConsumer is lacks for a request to a consumer.
func lacksConsumer(stream, name string, err error) error {
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return missing{"consumer " + name + " of the stream " + stream, err}
	}
	return lacks("stream "+stream, err)
}

// forbidden reports whether a request had no answer because the broker does not permit it. The
// broker does not say so in an answer, but in an error of the connection.
func (b *broker) forbidden(err error) bool {
	unanswered := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
	return unanswered && time.Since(time.Unix(0, b.refusedAt.Load())) < 2*patience+attempt
}

// why says for people why a broker does not answer although it is connected.
func (b *broker) why(err error) string {
	var lost missing
	switch {
	case errors.As(err, &lost):
		return "does not have the " + lost.asset + ": processes make what is missing as they start"
	case b.forbidden(err):
		return "does not permit what this server needs"
	}
	return "does not answer: a cluster needs more than half of its nodes"
}

// full reports that the broker has no room, or no more than it was given.
func full(err error) bool {
	var e *jetstream.APIError
	if !errors.As(err, &e) {
		return false
	}
	return slices.Contains(noRoom, e.ErrorCode)
}

// noRoom are the codes of the broker for it, which the client has no names for: insufficient
// resources, memory and storage, and a store that has failed.
var noRoom = []jetstream.ErrorCode{10023, 10028, 10047, 10077}

// attempt is how long one publish waits for its answer, before it is made again.
const attempt = time.Second

// errAway is the error of every request while the process is not connected to a broker.
var errAway = errors.New("there is no connection to the broker")

// publish publishes once.
func (b *broker) publish(
	ctx context.Context, m *nats.Msg, options ...jetstream.PublishOpt,
) (*jetstream.PubAck, error) {
	if !b.connected() {
		return nil, errAway
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	begun := time.Now()
	ack, err := b.js.PublishMsg(ctx, m, options...)
	if err == nil {
		b.stored(time.Since(begun))
	}
	return ack, err
}

// leastRetention is how long an end is kept at least, for a process that waits for it and has to
// connect again.
const leastRetention = 10 * time.Second

// follows makes the broker refuse a state unless the latest one with this key has the sequence
// after, in whatever queue that is: ids are unique over all of them.
func follows(key string, after uint64) jetstream.PublishOpt {
	return jetstream.WithExpectLastSequenceForSubject(after, stateIn("*", key))
}

// putSoon is put for a caller that waits for the answer later.
func (b *broker) putSoon(
	s state, after uint64, keep time.Duration,
) (jetstream.PubAckFuture, error) {
	if !b.connected() {
		return nil, errAway
	}
	return b.js.PublishMsgAsync(s.message(), expecting(s, after, keep)...)
}

// put stores the next state of a prediction if the present one has the sequence after. It returns
// the new sequence. An end is kept for as long as keep says.
func (b *broker) put(ctx context.Context, s state, after uint64, keep time.Duration) (uint64, error) {
	ack, err := b.publish(ctx, s.message(), expecting(s, after, keep)...)
	if err != nil {
		return 0, lacks("stream "+stateStream, err)
	}
	return ack.Sequence, nil
}

// expecting are the options of put.
func expecting(s state, after uint64, keep time.Duration) []jetstream.PublishOpt {
	options := []jetstream.PublishOpt{follows(s.key, after)}
	if s.kind == ended {
		options = append(options, jetstream.WithMsgTTL(max(keep, leastRetention).Round(time.Second)))
	}
	return options
}

// state returns the state of the prediction with this key, in whatever queue it is. Its sequence is
// 0 if there is none.
func (b *broker) state(ctx context.Context, key string) (state, error) {
	m, err := b.states.GetLastMsgForSubject(ctx, stateIn(b.models, key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return state{}, nil
	}
	if err != nil {
		return state{}, lacks("stream "+stateStream, err)
	}
	return stateOf(m.Subject, m.Sequence, m.Header, m.Data)
}

// asked returns the request with this key that has not ended; found is false if there is none.
func (b *broker) asked(ctx context.Context, key string) (a asked, found bool, err error) {
	m, err := b.requests.GetLastMsgForSubject(ctx, askedIn(b.models, key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return a, false, nil
	}
	if err != nil {
		return a, false, lacks("stream "+askedStream, err)
	}
	a, err = askedOf(m.Subject, m.Sequence, m.Header, m.Data)
	return a, err == nil, err
}
