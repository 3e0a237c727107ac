package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// floorServer is the least that two processes must do to exchange files and to notify each other by
// inotify and a signal. It does not check or keep anything, so it is the bound for Coggo.
func floorServer(_ string, port int, _ options) (*exec.Cmd, error) {
	self, err := os.Executable()
	return exec.Command(self, "-floor", strconv.Itoa(port)), err
}

// floor passes the body of a request to bench/models/floor.py, and the answer back.
type floor struct {
	dir  string
	last atomic.Int64

	mu      sync.Mutex // guards waiting
	waiting map[string]chan struct{}
}

func serveFloor(port string) error {
	dir, err := os.MkdirTemp("/dev/shm", "bench-floor-")
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return err
	}
	f := &floor{dir: dir, waiting: map[string]chan struct{}{}}
	heard, leave := make(chan os.Signal, 16), make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	signal.Notify(leave, syscall.SIGTERM)
	runner := exec.Command(python("coggo"), "bench/models/floor.py", dir, strconv.Itoa(os.Getpid()))
	runner.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runner.Stderr = os.Stderr
	out, err := runner.StdoutPipe()
	if err == nil {
		err = runner.Start()
	}
	if err == nil {
		_, err = bufio.NewReader(out).ReadString('\n')
	}
	if err != nil {
		return err
	}
	go f.tell(heard)
	go func() {
		<-leave
		_ = os.RemoveAll(dir)
		os.Exit(0)
	}()
	return http.ListenAndServe("127.0.0.1:"+port, f)
}

// tell wakes all waiting requests, because a signal does not name its request.
func (f *floor) tell(heard <-chan os.Signal) {
	for range heard {
		f.mu.Lock()
		for _, look := range f.waiting {
			select {
			case look <- struct{}{}:
			default:
			}
		}
		f.mu.Unlock()
	}
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id, ok := strings.CutSuffix(r.URL.Path, "/cancel"); ok {
		if err := f.put("cancel-"+filepath.Base(id), nil); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if len(body) == 0 || err != nil { // the client asks whether the server is up
		return
	}
	id := strconv.FormatInt(f.last.Add(1), 36)
	if r.Method == http.MethodPut {
		id = filepath.Base(r.URL.Path)
	}
	answer, err := f.run(id, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
}

// put writes a file so that readers see all of it or nothing.
func (f *floor) put(name string, data []byte) error {
	draft := filepath.Join(f.dir, "tmp", name)
	if err := os.WriteFile(draft, data, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, filepath.Join(f.dir, name))
}

func (f *floor) run(id string, body []byte) ([]byte, error) {
	look := make(chan struct{}, 1)
	f.mu.Lock()
	f.waiting[id] = look
	alone := len(f.waiting) == 1
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.waiting, id)
	}()
	request, response := filepath.Join(f.dir, "request-"+id), filepath.Join(f.dir, "response-"+id)
	if err := f.put("request-"+id, body); err != nil {
		return nil, err
	}
	for begun := time.Now(); ; {
		answer, err := os.ReadFile(response)
		if errors.Is(err, fs.ErrNotExist) {
			if alone && time.Since(begun) < awake {
				yield()
			} else {
				<-look
			}
			continue
		}
		return answer, errors.Join(err, os.Remove(request), os.Remove(response))
	}
}

// awake is the time for which the goroutine of a request that runs alone polls before it sleeps,
// see models/floor.py.
const awake = 500 * time.Microsecond

func yield() {
	runtime.Gosched()
	_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
}
