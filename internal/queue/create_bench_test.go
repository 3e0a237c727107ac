package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/webhook"
)

// BenchmarkCreate puts predictions into a broker of this machine, as a gateway does, but without
// HTTP. NATS_SERVER is the broker's program:
//
//	NATS_SERVER=.venv/bin/nats-server go test -run - -bench Create -cpu 2 ./internal/queue
func BenchmarkCreate(b *testing.B) {
	q := openOn(b, startBroker(b))
	model, _ := json.Marshal(modelEntry{
		Name:    "acme/bench",
		OpenAPI: json.RawMessage(`{"components": {"schemas": {"Input": {"type": "object", "properties": {"name": {"type": "string"}}}}}}`),
	})
	q.directory.hear(directoryPrefix+token("acme/bench")+"."+modelKey, nil, model)
	b.SetParallelism(16) // goroutines for each processor
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _, err := q.Create(prediction.Request{
				Method: prediction.Predict, Model: "acme/bench", Input: json.RawMessage(`{"name": "x"}`),
			}, false)
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "predictions/s")
}

// startBroker returns the URL of a broker that ends with the benchmark.
func startBroker(b *testing.B) string {
	program := os.Getenv("NATS_SERVER")
	if program == "" {
		b.Skip("NATS_SERVER is not set")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	cmd := exec.Command(program, "-js", "-sd", b.TempDir(), "-a", "127.0.0.1", "-p", fmt.Sprint(port), "-l", os.DevNull)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	return fmt.Sprintf("nats://127.0.0.1:%d", port)
}

// openOn opens a queue on a broker, and waits until it is ready.
func openOn(b *testing.B, url string) *Queue {
	log := slog.New(slog.DiscardHandler)
	hooks, err := webhook.NewSender(webhook.Options{Client: http.DefaultClient})
	if err != nil {
		b.Fatal(err)
	}
	q, err := Open(Config{
		URL: url, Replicas: 1, Name: "acme/bench", MaxQueue: 100_000_000, RetainFor: time.Hour,
		Webhooks: hooks, Stored: func(time.Duration) {}, Log: log, Now: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		q.Close(ctx)
	})
	select {
	case <-q.open:
	case err := <-q.Failed():
		b.Fatal(err)
	case <-time.After(10 * time.Second):
		b.Fatal("the broker is not ready")
	}
	return q
}
