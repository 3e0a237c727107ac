package httpapi

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"unsafe"
)

// deferWatch keeps net/http from watching whether the client leaves as soon as the body of r is
// read, as it does by itself. The returned function begins to, unless that goes on already, and
// returns the context that is done then. The watch is a goroutine for each request, and to start
// and stop it wakes other threads: a fifth of the time of a short prediction.
//
// net/http has no such switch, so this takes the function that a body of its calls at its end.
// Where a release of Go has no such function, the watch begins at the end of the body.
func deferWatch(r *http.Request) func() context.Context {
	watch := func() {}
	if end := endOf(r.Body); end != nil && *end != nil {
		watch, *end = *end, nil
	}
	return func() context.Context {
		watch()
		return leaving(r.Context())
	}
}

// endOf is where a body of net/http has the function that it calls at its end, nil for any other.
func endOf(body io.ReadCloser) *func() {
	if counting, ok := body.(*countingReader); ok {
		body = counting.ReadCloser
	}
	at, known := endField()
	if v := reflect.ValueOf(body); known && v.Type() == at.of {
		return (*func())(unsafe.Add(v.UnsafePointer(), at.offset))
	}
	return nil
}

type bodyEnd struct {
	of     reflect.Type
	offset uintptr
}

// endField finds it in the type of a body with a length.
var endField = sync.OnceValues(func() (at bodyEnd, known bool) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")))
	if err != nil {
		return at, false
	}
	at.of = reflect.TypeOf(r.Body)
	if at.of.Kind() != reflect.Pointer || at.of.Elem().Kind() != reflect.Struct {
		return at, false
	}
	field, ok := at.of.Elem().FieldByName("onHitEOF")
	at.offset = field.Offset
	return at, ok && field.Type == reflect.TypeFor[func()]()
})
