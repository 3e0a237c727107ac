package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/spool"
	"github.com/coggo/coggo/internal/telemetry"
)

// process is a runner process as a follower needs it.
type process interface {
	Gone() <-chan struct{}
	Done() <-chan struct{}
	Exit() runner.Exit
	Lent() *runner.Lent
	Ring() error
	Kill(why string)
}

// follower follows one prediction in the runner until it ends. It belongs to the goroutine of the
// prediction.
type follower struct {
	s       *Supervisor
	f       *flight
	w       *worker
	dir     *spool.Dir
	process process
	lent    *runner.Lent // nil unless predictions run alone
	events  *spool.Events
	target  *files.Destination // of output files; nil until there is one
	yielded int64              // bytes

	fault string           // why the prediction fails although the model may still be running
	grace <-chan time.Time // set once the runner was asked to cancel
	// When to ring the doorbell of a synchronous model again; nil until the first time.
	ringNext <-chan time.Time

	again  <-chan time.Time // when to retry a failed read; nil if none failed
	unread time.Time        // when reads began to fail
}

// A read can fail for a while, because the server or the machine has too many open files or a disk
// has trouble. It is retried every readAgain until readLimit is over.
const (
	readAgain = 100 * time.Millisecond
	readLimit = 10 * time.Second
)

// watchAfter is how long a prediction runs before the server watches whether its client leaves, and
// shows its logs as they come. To start and end either costs more than the server's share of a
// short prediction.
const watchAfter = 10 * time.Millisecond

// ringAgain is how often the doorbell of one cancel rings. That does not disturb a model that has
// heard it: it raises the exception once.
const ringAgain = 200 * time.Millisecond

// run returns how the prediction ended.
func (o *follower) run(ctx context.Context) prediction.Result {
	defer o.events.Close()
	defer o.endRecord()
	defer o.takeOutput()
	if o.f.expectQuick {
		o.poll(ctx, o.s.config.Runner.BusyPoll)
	}
	var lasts <-chan time.Time
	if o.f.watch != nil || o.lent != nil {
		lasts = time.After(watchAfter)
	}
	canceled := ctx.Done()
	gone := o.process.Gone() // nil once it is closed
	for {
		look := true
		select {
		case <-o.f.changed:
			look = o.f.response.Load() || o.again != nil
		case <-lasts:
			o.f.startDisconnectWatch()
			o.keepRecord()
			if o.lent != nil && !o.lent.Follow() {
				lasts = time.After(readAgain)
			}
			continue
		case <-o.again:
		case <-canceled:
			canceled = nil
			o.cancel(reasonOf(ctx))
			o.pollAfterCancel()
		case <-o.ringNext:
			o.ring()
		case <-o.grace:
			return o.giveUp(ctx)
		case <-gone:
			gone = nil
		}
		dead := gone == nil
		result, ended, err := o.read(ctx, look || dead)
		if ended {
			return result
		}
		lasting := o.unreadable(err)
		switch {
		case dead && lasting:
			return o.failed(o.fault)
		case dead && err == nil:
			return o.died(ctx)
		}
	}
}

// poll looks for a response that is expected at once, instead of going to sleep, because to be
// woken takes longer than to run a short prediction. The response is still signaled. Anything that
// comes before it ends the poll.
func (o *follower) poll(ctx context.Context, limit time.Duration) {
	until := o.s.config.Now().Add(limit)
	answered := o.dir.Answered(o.f.fileID)
	for !answered() {
		if len(o.f.changed) > 0 || ctx.Err() != nil || o.s.config.Now().After(until) {
			return
		}
		yield()
	}
	o.f.notify(true)
}

// pollAfterCancel stays awake for the end of a canceled prediction that runs alone; several would
// slow each other down. The runner may have been asleep, and then takes twice as long as for a
// prediction that follows another.
func (o *follower) pollAfterCancel() {
	if o.w.handedFlights() == 1 {
		runtime.Gosched() // the client that cancels gets its answer first
		o.poll(context.Background(), 2*o.s.config.Runner.BusyPoll)
	}
}

// read applies what is new, and reports whether the prediction has ended. With look, it looks for
// the response before it reads the events, because the runner writes all events before the
// response. After an error that may pass, the next call reads the rest.
func (o *follower) read(
	ctx context.Context, look bool,
) (result prediction.Result, ended bool, err error) {
	var response spool.Response
	if look {
		o.f.response.Store(false)
		response, ended, err = o.dir.Response(o.f.fileID)
	}
	if errors.As(err, new(*spool.LargeOutputError)) {
		return o.failed(o.largeOutput()), true, nil
	}
	if err != nil && !passing(err) && !odd(err) && (!foreign(err) || o.w == nil) {
		return o.failed(unreadableResponse(err)), true, nil
	}
	if err == nil && !response.Silent {
		err = o.apply(ctx)
	}
	if err != nil || !ended {
		return result, false, err
	}
	return o.conclude(ctx, response), true, nil
}

// passing reports whether an error comes from the kernel, about a file, and not from its contents.
// Such an error may pass.
func passing(err error) bool { return errors.As(err, new(*fs.PathError)) }

// odd reports whether the model has put something in the place of a file that can never be read.
func odd(err error) bool { return errors.As(err, new(*spool.OddError)) }

// foreign reports whether the model has put something in the place of the response.
func foreign(err error) bool { return errors.As(err, new(*spool.ForeignError)) }

func unreadableResponse(err error) string {
	return "the model's response could not be read: " + err.Error()
}

// unreadable schedules another look after an error that may pass. It reports true if the error
// cannot pass, or has lasted too long: then the prediction fails, and the runner is asked to end
// it.
func (o *follower) unreadable(err error) (lasting bool) {
	if err == nil {
		o.again = nil
		return false
	}
	if foreign(err) {
		o.fail(unreadableResponse(err))
		return true
	}
	if odd(err) {
		o.fail(unreadableError(err).Error())
		return true
	}
	now := o.s.config.Now()
	if o.again == nil {
		o.unread = now
		o.s.config.Log.Warn("trying again", "id", o.f.ID(), "error", unreadableError(err))
	}
	o.again = time.After(readAgain)
	lasting = now.Sub(o.unread) >= readLimit
	if lasting {
		o.fail(unreadableError(err).Error())
	}
	return lasting
}

// fail sets the reason why the prediction fails, whatever the model returns, and cancels it.
func (o *follower) fail(why string) {
	if o.fault == "" {
		o.fault = why
		o.cancel(ByClient)
	}
}

// apply reads the new events. An error may pass, see read.
func (o *follower) apply(ctx context.Context) error {
	for more := true; more; {
		var events []spool.Event
		var err error
		events, more, err = o.events.Next()
		o.take(ctx, events)
		switch {
		case passing(err) || odd(err):
			return err
		case err != nil:
			o.s.config.Log.Warn("read events", "id", o.f.ID(), "error", err)
		}
	}
	return nil
}

func (o *follower) take(ctx context.Context, events []spool.Event) {
	for _, e := range events {
		switch e.Type {
		case spool.OutputEvent:
			o.yield(ctx, e)
		case spool.LogEvent:
			if !e.Copy {
				o.s.config.Output(o.f.origin(o.w, e.Source), []byte(e.Data))
			}
			o.f.log(e.Source, []byte(e.Data))
		case spool.MetricEvent:
			o.f.prediction.Record(prediction.Metric{
				Name: e.Name, Value: e.Value, Mode: e.Mode, Key: e.Key, Total: e.Total,
			})
		}
	}
}

// itemBytes is counted for a yielded item in addition to its text, because the server holds about
// that much for each item, however short it is.
const itemBytes = 128

// yield appends an item to the output. If its files can't be published, the prediction has failed,
// and the model need not go on.
func (o *follower) yield(ctx context.Context, e spool.Event) {
	if o.yielded += int64(len(e.Chunk)) + itemBytes; o.tooMuch(o.yielded) {
		o.fail(o.largeOutput())
		return
	}
	chunk, err := o.publish(ctx, e.Chunk, e.Files)
	if err != nil {
		if ctx.Err() == nil {
			o.fail(err.Error())
		}
		return
	}
	o.f.prediction.Yield(chunk)
	if o.f.hook != nil {
		o.f.hook.Changed(prediction.WebhookOutput)
	}
}

func (o *follower) tooMuch(output int64) bool {
	return o.s.config.MaxOutput > 0 && output > o.s.config.MaxOutput
}

func (o *follower) largeOutput() string {
	return fmt.Sprintf(
		"the output is larger than %d bytes, see --max-output; return large ones as files",
		o.s.config.MaxOutput)
}

// publish turns output files into data URLs or uploads them. Large ones stay on disk, as inserts.
func (o *follower) publish(
	ctx context.Context, output []byte, table []spool.File,
) (prediction.Value, error) {
	if len(table) == 0 {
		return prediction.Value{Raw: output}, nil
	}
	if ctx.Err() != nil { // canceled: publish the files so far, within a limit
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(
			context.WithoutCancel(ctx), o.s.cancelGrace(reasonOf(ctx)))
		defer cancel()
	}
	r := o.f.prediction.Request
	if o.target == nil {
		o.target = &files.Destination{ID: r.ID, URL: r.OutputPrefix}
	}
	var span *telemetry.Span
	if o.s.config.Publisher.Uploads(o.target) {
		span = o.f.span.Child("upload", trace.SpanKindClient,
			attribute.Int("coggo.files", len(table)))
	}
	o.target.Header = span.Header(r.TraceHeader())
	published, inserts, err := o.s.config.Publisher.Publish(ctx, o.target, output, entries(table))
	span.End(errText(err))
	value := prediction.Value{Raw: published}
	for _, in := range inserts {
		value.Inserts = append(value.Inserts, prediction.Insert{At: in.At, Text: in.Text})
	}
	return value, err
}

// conclude turns the runner's response into a result.
func (o *follower) conclude(ctx context.Context, r spool.Response) prediction.Result {
	if len(r.Files) > 0 { // uploads may take a while
		o.keepRecord()
	}
	o.takeOutput()
	if r.Traceback != "" {
		from := o.f.origin(o.w, runner.Stderr)
		from.Whole = true
		o.s.config.Output(from, []byte(r.Traceback))
		o.f.log("stderr", []byte(r.Traceback))
	}
	o.f.noSideFiles = !o.events.Found() && o.grace == nil && len(r.Files) == 0 &&
		r.OutputPath == "" && o.f.record.Load() == nil
	result := prediction.Result{
		Status: prediction.Status(r.Status), Streamed: r.Streamed,
		Error: r.Error, Metrics: r.Metrics, CompletedAt: r.CompletedAt,
	}
	if !r.Streamed && o.tooMuch(int64(len(r.Output))) {
		return o.failed(o.largeOutput())
	}
	if !r.Streamed {
		output, err := o.publish(ctx, r.Output, r.Files)
		switch {
		case err == nil:
			result.Output = output
		case ctx.Err() == nil:
			return o.failed(err.Error())
		default: // the cancel came during the uploads
			result.Status = prediction.Canceled
		}
	}
	switch reason := reasonOf(ctx); {
	case o.fault != "":
		return o.failed(o.fault)
	case reason != "" && result.Status == prediction.Canceled:
		result.Status, result.Error = reason.ending(o.f)
	}
	return result
}

func (o *follower) failed(text string) prediction.Result {
	return prediction.Result{Status: prediction.Failed, Error: text, CompletedAt: o.s.config.Now()}
}

// died ends a prediction whose runner has exited without a response.
func (o *follower) died(ctx context.Context) prediction.Result {
	if reason := reasonOf(ctx); reason != "" && o.fault == "" {
		return o.s.ended(o.f, reason)
	}
	o.w.lost(o.f)
	if o.process.Exit().Code == unwritableStatus {
		text := "the response could not be written to the working directory"
		if err := o.dir.Probe(healthRoom); err != nil {
			text += ": " + errnoOnly(err).Error()
		}
		return o.failed(text)
	}
	return o.failed(fmt.Sprintf("the model process died: %s", o.process.Exit()))
}

// takeOutput reads all output of the prediction so far. Later output does not belong to it.
func (o *follower) takeOutput() {
	if o.lent != nil {
		o.lent.End()
	}
}

// keepRecord starts to copy the pipe of the prediction to disk. It does nothing for a quick
// prediction, because the record would cost more than the rest of it. Predictions that run
// concurrently write events, which are on disk anyway.
func (o *follower) keepRecord() {
	if o.s.config.Durable && o.lent != nil && o.f.record.Load() == nil {
		o.f.record.Store(o.dir.Record(o.f.ID(), o.s.recordBytes()))
	}
}

// recordBytes is a little more than the limit on the logs of a prediction, so that a later server
// can tell that there was more.
func (s *Supervisor) recordBytes() int64 {
	if s.config.Limits.LogBytes == 0 {
		return math.MaxInt64
	}
	return int64(s.config.Limits.LogBytes) + 1
}

func (o *follower) endRecord() {
	if r := o.f.record.Load(); r != nil {
		r.Close()
	}
}

// cancel asks the runner to end the prediction, within grace. A prediction of an earlier server has
// no runner any more.
func (o *follower) cancel(r Reason) {
	if o.grace != nil || o.w == nil {
		return
	}
	o.grace = time.After(o.s.cancelGrace(r))
	if err := o.dir.PutCancel(o.f.ID(), string(r)); err != nil {
		o.s.config.Log.Error("cancel", "id", o.f.ID(), "error", err)
		return
	}
	o.ring()
}

// cancelGrace returns how long a prediction may take to end that was canceled for reason r.
func (s *Supervisor) cancelGrace(r Reason) time.Duration {
	if r == ByShutdown {
		return min(s.config.CancelGrace, shutdownCancelGrace)
	}
	return s.config.CancelGrace
}

// ring rings the doorbell of the cancel file, again and again until the prediction ends, because a
// signal right before a system call of the model does not interrupt that call.
func (o *follower) ring() {
	if o.w.ring(o.process) {
		o.ringNext = time.After(ringAgain)
	}
}

// giveUp ends a prediction that ignored its cancel. A runner that runs nothing else is replaced at
// once. Otherwise the other predictions may finish first, and the slot stays taken until then.
func (o *follower) giveUp(ctx context.Context) prediction.Result {
	grace := o.s.cancelGrace(reasonOf(ctx))
	o.s.config.Log.Warn("prediction ignored its cancel", "id", o.f.ID(), "grace", grace)
	if o.w.abandon(o.f) {
		o.w.end(o.process, whyReplaced([]string{o.f.ID()}, grace))
	}
	if err := o.apply(ctx); err != nil {
		o.s.config.Log.Warn("events are missing", "id", o.f.ID(), "error", unreadableError(err))
	}
	if o.fault != "" {
		return o.failed(o.fault)
	}
	return o.s.ended(o.f, context.Cause(ctx))
}
