package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/coggo/coggo/internal/host"
)

// console is standard error. On a terminal it has one changing line at its end, with the time that
// something has taken so far. All output to the terminal must go through it, so that it can clear
// the line first.
type console struct {
	terminal bool
	out, err io.Writer // the standard streams

	mu    sync.Mutex // guards the rest, and the order of writes
	line  string     // the changing line, if it is visible
	inner bool       // the last write did not end its line
}

func newConsole() *console {
	return &console{terminal: term.IsTerminal(int(os.Stderr.Fd())), out: os.Stdout, err: os.Stderr}
}

// neverBlock lets the process go on if nobody reads its streams. flush writes the unread rest, for
// a moment.
func (c *console) neverBlock(json bool) (flush func()) {
	var order sync.Mutex
	out, err := host.NewOutlet(os.Stdout, &order, json), host.NewOutlet(os.Stderr, &order, json)
	// Without this, a waiting rest of a line could follow another line.
	if json && sameFile(os.Stdout, os.Stderr) {
		out = err
	}
	c.out, c.err = out, err
	return func() {
		err.Flush()
		out.Flush()
	}
}

// clearLine moves to the beginning of the line and erases to its end.
const clearLine = "\r\x1b[K"

// tick is how often the line changes.
const tick = 100 * time.Millisecond

// Write writes to standard error.
func (c *console) Write(p []byte) (int, error) { return c.write(c.err, p) }

// stdout returns standard output. If it is the same terminal, it must clear the changing line too.
func (c *console) stdout() io.Writer {
	if c.terminal && term.IsTerminal(int(os.Stdout.Fd())) {
		return writerFunc(func(p []byte) (int, error) { return c.write(c.out, p) })
	}
	return c.out
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (c *console) write(to io.Writer, p []byte) (int, error) {
	if !c.terminal {
		return to.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.showLocked("")
	n, err := to.Write(p)
	if len(p) > 0 {
		c.inner = !bytes.HasSuffix(p, []byte("\n"))
	}
	return n, err
}

// showLocked replaces the changing line. It does not show it while another line is unfinished, such
// as a progress bar.
func (c *console) showLocked(line string) {
	if c.line != "" {
		_, _ = io.WriteString(c.err, clearLine)
	}
	if c.line = ""; line != "" && !c.inner {
		c.line = line
		_, _ = io.WriteString(c.err, line)
	}
}

// timer shows label and the elapsed time until stop is called. stop returns that time.
func (c *console) timer(label string) (stop func() time.Duration) {
	begun := time.Now()
	elapsed := func() time.Duration { return time.Since(begun) }
	if !c.terminal {
		return elapsed
	}
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			c.mu.Lock()
			c.showLocked(fmt.Sprintf("%s %.1f s", label, elapsed().Seconds()))
			c.mu.Unlock()
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	})
	var once sync.Once
	return func() time.Duration {
		once.Do(func() {
			close(done)
			ended.Wait()
			c.mu.Lock()
			c.showLocked("")
			c.mu.Unlock()
		})
		return elapsed()
	}
}

// say writes a message to the user of the command line, even while a line changes.
func (c *console) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c, "coggo-server: "+format+"\n", args...) // a failed write can't be reported
}

// sameFile reports whether two streams go to the same file.
func sameFile(a, b *os.File) bool {
	one, err := a.Stat()
	other, bad := b.Stat()
	return err == nil && bad == nil && os.SameFile(one, other)
}
