package supervisor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/pool"
)

func TestAFailedSetupIsReportedWithItsReason(t *testing.T) {
	for _, test := range []struct {
		name    string
		files   [][2]string
		exit    string // status of the process; empty: it goes on
		timeout time.Duration
		want    string // in the logs of health
		stage   string
	}{
		{name: "the model says so", files: [][2]string{{"openapi.json", document}, {"setup-result.json", `{"protocol": 1, "status": "failed", "stage": "setup",
			"error": "weights missing", "traceback": "Traceback: weights missing\n"}`}}, want: "Traceback: weights missing\n", stage: "setup"},
		{name: "the model cannot be imported", files: [][2]string{{"setup-result.json", `{"protocol": 1, "status": "failed", "stage": "import",
			"error": "no torch", "traceback": "Traceback: no torch\n"}`}}, want: "Traceback: no torch\n", stage: "import"},
		{name: "the runner is of another version", files: [][2]string{{"openapi.json", document}, {"setup-result.json", `{"protocol": 2, "status": "succeeded"}`}},
			want: "the runner speaks protocol 2, the server 1", stage: "setup"},
		{name: "the result is not JSON", files: [][2]string{{"openapi.json", document}, {"setup-result.json", `{`}}, want: "setup-result.json", stage: "setup"},
		{name: "a directory stands in place of the result", files: [][2]string{{"openapi.json", document}, {"setup-result.json/x", ""}}, want: "setup-result.json is a directory", stage: "setup"},
		{name: "the schema cannot be read", files: [][2]string{{"openapi.json", `{}`}}, want: "read the model's schema: ", stage: "import"},
		{name: "there is no schema", files: [][2]string{{"setup-result.json", succeeded}}, want: "the runner wrote no openapi.json", stage: "import"},
		{name: "the process ends before the schema", exit: "3", want: "the model process ended during setup: exit status 3", stage: "import"},
		{name: "the process ends after the schema", files: [][2]string{{"openapi.json", document}}, exit: "3", want: "the model process ended during setup: exit status 3", stage: "setup"},
		{name: "it takes too long", timeout: time.Millisecond, want: "setup timed out after 1ms", stage: "import"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := configured(t)
			c.SetupTimeout = test.timeout
			f := newFake(t, c)
			f.start()
			f.awaitProcess()
			for _, file := range test.files {
				f.write(file[0], file[1])
			}
			if test.exit != "" {
				f.exitWith(test.exit)
			}
			until(t, "the setup has not failed", func() bool { return f.s.Status() == pool.SetupFailed })
			h := f.s.Health(t.Context())
			if h.Status != pool.SetupFailed || h.Setup.Status != "failed" || !strings.Contains(h.Setup.Logs, test.want) {
				t.Errorf("health is %s, setup %+v", h.Status, h.Setup)
			}
			if got := f.s.SetupResult().Stage; got != test.stage {
				t.Errorf("it failed in %q, not %q", got, test.stage)
			}
		})
	}
}

// A result that is there when the process ends counts: both may come between two looks.
func TestASetupThatHasSucceededBeforeTheProcessEndedCounts(t *testing.T) {
	c := configured(t)
	c.MaxRestarts = 1
	f := newFake(t, c)
	f.start()
	f.awaitProcess()
	f.write("openapi.json", document)
	f.write("setup-result.json", succeeded)
	f.exitWith("3")
	<-f.ready
	f.awaitProcess()
	f.setUp()
}

func TestTheSchemaIsServedWhileSetupRuns(t *testing.T) {
	f := newFake(t, configured(t))
	if _, err := f.s.Schema(); err == nil {
		t.Error("there is a schema before there is a process")
	}
	f.start()
	f.awaitProcess()
	f.write("openapi.json", document)
	until(t, "there is no schema", func() bool { _, err := f.s.Schema(); return err == nil })
	if status := f.s.Status(); status != pool.Starting {
		t.Errorf("the status is %s", status)
	}
	f.setUp()
	h := f.s.Health(t.Context())
	if h.Status != pool.Ready || h.Max != 2 || h.Setup.Status != "succeeded" || h.Cog != "1.2.3" {
		t.Errorf("health is %+v", h)
	}
}

// crash lets the model process exit while it has a prediction, and returns how that ended.
func crash(t *testing.T, f *fake, status string) string {
	t.Helper()
	f.awaitProcess()
	f.setUp()
	p := create(t, f.s, `{"id": "x"}`)
	f.awaitFile("request-x.json")
	f.exitWith(status)
	ended(t, p)
	return seen(t, f.s, "x").Error
}

func TestAModelThatDiesIsStartedAgainUntilItDiesTooOften(t *testing.T) {
	c := configured(t)
	c.MaxRestarts = 1
	f := newFake(t, c)
	f.start()
	for range 2 {
		if got := crash(t, f, "3"); got != "the model process died: exit status 3" {
			t.Errorf("the prediction failed with %q", got)
		}
	}
	select {
	case <-f.s.Defunct():
	case <-time.After(longest):
		t.Fatal("it is not given up")
	}
	if status := f.s.Status(); status != pool.Defunct {
		t.Errorf("the status is %s", status)
	}
}

// A disk that was full is not a fault of the model.
func TestARunnerThatCouldNotWriteItsAnswerDoesNotCountAsDead(t *testing.T) {
	c := configured(t)
	c.MaxRestarts = 0
	f := newFake(t, c)
	f.start()
	if got := crash(t, f, "74"); got != "the response could not be written to the working directory" {
		t.Errorf("the prediction failed with %q", got)
	}
	f.awaitProcess()
	f.setUp()
}

func TestASetupThatHasWorkedOnceIsTriedAgain(t *testing.T) {
	c := configured(t)
	c.MaxRestarts = 2
	f := newFake(t, c)
	f.start()
	crash(t, f, "3")
	f.awaitProcess()
	f.exitWith("4") // before it is set up
	f.awaitProcess()
	f.setUp()
}

func TestANewEditionEndsASetupThatRuns(t *testing.T) {
	c := configured(t)
	c.Reloads = true
	f := newFake(t, c)
	f.start()
	f.awaitProcess()
	f.s.Reload(c.Runner.Entry, nil, "the model is being reloaded")
	f.awaitProcess()
	f.setUp()
	if status := f.s.Status(); status != pool.Ready {
		t.Errorf("the status is %s", status)
	}
}
