package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"time"

	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/prediction"
)

// Store keeps uploaded files.
type Store interface {
	Put(name, contentType string, body io.Reader) (files.Stored, error)
	Get(id string) (files.Stored, error)
	Open(id string) (io.ReadSeekCloser, error)
	Describe(about files.Stored, metadata json.RawMessage) (files.Stored, error)
	List() ([]files.Stored, error)
	Delete(id string) error
}

type fileV1 struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	ContentType string            `json:"content_type"`
	Size        int64             `json:"size"`
	ETag        string            `json:"etag"`
	Checksums   map[string]string `json:"checksums"`
	Metadata    json.RawMessage   `json:"metadata"`
	CreatedAt   string            `json:"created_at"`
	ExpiresAt   string            `json:"expires_at"`
	URLs        map[string]string `json:"urls"`
}

func (a *API) showFile(r *http.Request, f files.Stored) fileV1 {
	if f.Metadata == nil {
		f.Metadata = json.RawMessage("{}")
	}
	return fileV1{
		ID: f.ID, Name: f.Name, ContentType: f.ContentType, Size: f.Size, ETag: f.SHA256,
		Checksums: map[string]string{"sha256": f.SHA256}, Metadata: f.Metadata,
		CreatedAt: prediction.Time(f.CreatedAt), ExpiresAt: prediction.Time(f.ExpiresAt),
		URLs: map[string]string{"get": a.address(r, files.StoredPath+f.ID)},
	}
}

// maxMetadata bounds the metadata that a client can add to its file.
const maxMetadata = 64 << 10

// upload stores the part `content` of a multipart form. The part `metadata`, an object, may come
// before or after it.
func (a *API) upload(w http.ResponseWriter, r *http.Request) error {
	r.Body = struct {
		io.Reader
		io.Closer
	}{a.patiently(w, r.Body), r.Body}
	form, err := r.MultipartReader()
	if err != nil {
		return &httpError{
			http.StatusUnsupportedMediaType,
			"send the file as the part `content` of multipart/form-data: " + err.Error(),
		}
	}
	var stored files.Stored
	var metadata json.RawMessage
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			refused := prediction.Refuse(prediction.Malformed, "the form ended early: "+err.Error())
			return errors.Join(refused, a.discard(stored))
		}
		switch part.FormName() {
		case "content":
			if err := a.discard(stored); err != nil { // the last part counts
				return err
			}
			if stored, err = a.store(part); err != nil {
				return err // nothing is stored
			}
		case "metadata":
			if metadata, err = readMetadata(part); err != nil {
				return errors.Join(err, a.discard(stored))
			}
		}
	}
	if stored.ID == "" {
		return invalidForm("content", "Field required", "missing")
	}
	if metadata != nil {
		if stored, err = a.Store.Describe(stored, metadata); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusCreated, a.showFile(r, stored))
	return nil
}

func invalidForm(part, text, kind string) error {
	return prediction.InvalidRequest(
		prediction.Problem{Loc: []any{"body", part}, Msg: text, Type: kind})
}

// discard removes the file of a form that turned out to be invalid later.
func (a *API) discard(stored files.Stored) error {
	if stored.ID == "" {
		return nil
	}
	return a.Store.Delete(stored.ID)
}

func (a *API) store(part *multipart.Part) (files.Stored, error) {
	contentType := part.Header.Get("Content-Type")
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	stored, err := a.Store.Put(part.FileName(), contentType, part)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return stored, prediction.Refuse(prediction.Malformed, "the form ended early")
	}
	if errors.As(err, new(files.TooLargeError)) {
		return stored, prediction.Refuse(prediction.TooLarge,
			fmt.Sprintf("the file is too large: %v, see --max-input-file", err))
	}
	if full := files.FullError(0); errors.As(err, &full) {
		return stored, &httpError{
			http.StatusInsufficientStorage, fmt.Sprintf("%v, see --max-uploads", full),
		}
	}
	if errors.Is(err, files.ErrNoRoom) {
		return stored, &httpError{
			http.StatusInsufficientStorage, "the queue's broker has no room left for the file",
		}
	}
	if disk, ok := errors.AsType[*fs.PathError](err); ok {
		return stored, &httpError{
			http.StatusInsufficientStorage,
			"the working directory can't be written: " + disk.Err.Error(),
		}
	}
	return stored, err
}

func readMetadata(part *multipart.Part) (json.RawMessage, error) {
	data, err := io.ReadAll(io.LimitReader(part, maxMetadata+1))
	if err != nil {
		return nil, prediction.Refuse(prediction.Malformed, "the form ended early: "+err.Error())
	}
	var object map[string]json.RawMessage
	if len(data) > maxMetadata || json.Unmarshal(data, &object) != nil || object == nil {
		text := fmt.Sprintf("must be a JSON object of at most %d bytes", maxMetadata)
		return nil, invalidForm("metadata", text, "dict_type")
	}
	return data, nil
}

func (a *API) filesV1(w http.ResponseWriter, r *http.Request) error {
	all, err := a.Store.List()
	if err != nil {
		return err
	}
	results := make([]fileV1, 0, len(all))
	for _, stored := range all {
		results = append(results, a.showFile(r, stored))
	}
	writeJSON(w, http.StatusOK, map[string]any{"previous": nil, "next": nil, "results": results})
	return nil
}

func (a *API) deleteV1(w http.ResponseWriter, r *http.Request) error {
	stored, err := a.stored(r)
	if err != nil {
		return err
	}
	if err := a.Store.Delete(stored.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) fileV1(w http.ResponseWriter, r *http.Request) error {
	stored, err := a.stored(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, a.showFile(r, stored))
	return nil
}

// download serves the contents of an uploaded file.
func (a *API) download(w http.ResponseWriter, r *http.Request) error {
	stored, err := a.stored(r)
	if err != nil {
		return err
	}
	contents, err := a.Store.Open(stored.ID)
	if err != nil {
		return err
	}
	defer contents.Close()
	w.Header().Set("Content-Disposition",
		mime.FormatMediaType("inline", map[string]string{"filename": stored.Name}))
	return serveFile(w, r, stored.Name, stored.ContentType, contents)
}

// serveFile serves a file that others wrote, so that a browser does not treat it as a page of ours.
func serveFile(
	w http.ResponseWriter, r *http.Request, name, mediaType string, contents io.ReadSeeker,
) error {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
	out := contentsWriter{withheld{ResponseWriter: w}}
	http.ServeContent(&out, r, name, time.Time{}, contents)
	if out.refused != 0 {
		return &httpError{out.refused, http.StatusText(out.refused)}
	}
	return nil
}

// contentsWriter withholds the errors of http.ServeContent: a range that the file does not have, or
// a condition that it does not meet.
type contentsWriter struct{ withheld }

func (w *contentsWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		w.refused = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (a *API) stored(r *http.Request) (files.Stored, error) {
	stored, err := a.Store.Get(r.PathValue("id"))
	if errors.Is(err, files.ErrNotStored) {
		return stored, prediction.Refuse(prediction.NotFound, err.Error())
	}
	return stored, err
}
