package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const mib = 1 << 20

// largeWorkloads measure large strings and files.
func largeWorkloads(k *sink) []workload {
	fileOut := func(name, target string, limit float64, o options, peak bool) workload {
		return workload{
			name: name, unit: unitOf(peak), target: target, limit: limit,
			models: platforms("FileOut"), options: o, rounds: 5,
			run: func(s *server, b *bench) (float64, int, error) {
				members := map[string]any{"input": map[string]any{"mib": 64}}
				// FastAPI uses --upload-url only for asynchronous predictions.
				if o.uploadURL != "" {
					members["output_file_prefix"] = o.uploadURL
				}
				// If the host has not yet given the memory of the file to this machine, the model's
				// own write takes 125 ms and not 11. The system after one that uses much memory
				// would be charged for that.
				if _, err := s.request(members, `"succeeded"`); err != nil {
					return 0, 1, err
				}
				s.forgetPeak()
				k.got.Store(0)
				start := time.Now()
				answer, err := s.request(members, `"succeeded"`)
				took := ms(time.Since(start))
				uploaded := k.got.Load()
				if err == nil && o.uploadURL == "" && len(answer) < 64*mib*4/3 ||
					o.uploadURL != "" && uploaded < 64*mib {
					err = fmt.Errorf("the file is not complete: %d bytes of answer, %d uploaded",
						len(answer), uploaded)
				}
				if peak {
					return s.peak(), 0, err
				}
				return took, 0, err
			},
		}
	}
	fileIn := func(name, target string, limit float64, peak bool) workload {
		return workload{
			name: name, unit: unitOf(peak), target: target, limit: limit,
			models: platforms("FileIn"), rounds: 5,
			run: func(s *server, b *bench) (float64, int, error) {
				s.forgetPeak()
				start := time.Now()
				_, err := s.predict(map[string]any{"file": k.base + "/64.bin"}, fmt.Sprint(64*mib))
				if peak {
					return s.peak(), 0, err
				}
				return ms(time.Since(start)), 0, err
			},
		}
	}
	text := func(name, target string, size int, in bool) workload {
		class := map[bool]string{true: "TextIn", false: "TextOut"}[in]
		value := strings.Repeat("x", size)
		return workload{
			name: name, unit: "ms", target: target, rounds: 5,
			models: with(platforms(class), "mosec", class, "floor", ""),
			run: func(s *server, b *bench) (float64, int, error) {
				body, want := `{"input": {"text": "`+value+`"}}`, `"`+fmt.Sprint(size)+`"`
				if !in {
					body, want = fmt.Sprintf(`{"input": {"size": %d}}`, size), value
				}
				return median(s, 3, body, want)
			},
		}
	}
	upload := options{uploadURL: k.base + "/up/"}
	return []workload{
		text("1 MiB string in", "", mib, true),
		text("1 MiB string out", "", mib, false),
		text("16 MiB string in", "≤ mosec", 16*mib, true),
		text("16 MiB string out", "≤ mosec", 16*mib, false),
		fileOut("64 MiB file out as data URL", "≤ 350", 350, options{}, false),
		fileOut("64 MiB file out as data URL, peak RSS of the tree",
			"≤ 120", 120, options{}, true),
		fileOut("64 MiB file out by upload", "≤ 120", 120, upload, false),
		fileOut("64 MiB file out by upload, peak RSS of the tree", "≤ 60", 60, upload, true),
		fileIn("64 MiB file in by URL", "≤ 85", 85, false),
		fileIn("64 MiB file in by URL, peak RSS of the tree", "≤ 60", 60, true),
	}
}

// unitOf returns the unit of a time or of a peak of memory.
func unitOf(peak bool) string {
	if peak {
		return "MiB"
	}
	return "ms"
}

// sink is the server for webhooks, uploads and files.
type sink struct {
	base string
	got  atomic.Int64 // bytes of uploads
	hook chan hooked
}

// hooked is a received webhook.
type hooked struct {
	at   time.Time
	body []byte
}

func newSink() (*sink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &sink{base: "http://" + listener.Addr().String(), hook: make(chan hooked, 4096)}
	file := bytes.Repeat([]byte("0123456789abcdef"), 64*mib/16)
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodGet:
				http.ServeContent(w, r, "64.bin", time.Time{}, bytes.NewReader(file))
			case strings.HasPrefix(r.URL.Path, "/up/"):
				n, _ := io.Copy(io.Discard, r.Body)
				k.got.Add(n)
			default:
				at := time.Now()
				body, _ := io.ReadAll(r.Body)
				k.hook <- hooked{at, body}
			}
		}))
	}()
	return k, nil
}
