// Package unsafenet defers net/http's watch for a client that disconnects.
//
// It is a trick, because net/http has no such switch and this package reaches into its private
// state:
//
//   - What it assumes: the body of a server's request is a pointer to a struct with a field onHitEOF
//     of type func(), which net/http calls at the end of the body to start the watch (Go 1.26,
//     net/http/transfer.go and server.go).
//   - If that is false: the layout is looked up once by reflection, and if it differs, the watch
//     starts at the end of the body as usual. TestThisGoHasTheFunctionThatABodyCallsAtItsEnd fails.
//   - What it buys: the watch is a goroutine for each request, and starting and stopping it wakes
//     other threads, which is a fifth of the time of a short prediction (docs/decisions/0009).
//   - How to switch it off: coggo-server --without disconnect.
package unsafenet

import (
	"bufio"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"unsafe"
)

// DeferWatch keeps net/http from watching for a disconnect once body, that of a server's request,
// is read to its end. The returned function starts the watch, unless it runs already. Call it at
// most once, and not after the handler has returned.
func DeferWatch(body io.ReadCloser) (start func()) {
	if end := endOf(body); end != nil && *end != nil {
		start, *end = *end, nil
		return start
	}
	return func() {}
}

// endOf is the field of a body with the function that the body calls at its end, nil for any other
// reader.
func endOf(body io.ReadCloser) *func() {
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

// endField finds the field in the type of a body that has a length.
var endField = sync.OnceValues(func() (at bodyEnd, known bool) {
	const request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
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
