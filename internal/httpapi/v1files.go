package httpapi

import (
	"errors"
	"fmt"
	"io"
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
	Open(id string) (*os.File, error)
}

type fileV1 struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	ContentType string            `json:"content_type"`
	Size        int64             `json:"size"`
	ETag        string            `json:"etag"`
	Checksums   map[string]string `json:"checksums"`
	Metadata    map[string]any    `json:"metadata"`
	CreatedAt   string            `json:"created_at"`
	ExpiresAt   string            `json:"expires_at"`
	URLs        map[string]string `json:"urls"`
}

func showFile(r *http.Request, f files.Stored) fileV1 {
	return fileV1{
		ID: f.ID, Name: f.Name, ContentType: f.ContentType, Size: f.Size, ETag: f.SHA256,
		Checksums: map[string]string{"sha256": f.SHA256}, Metadata: map[string]any{},
		CreatedAt: prediction.Time(f.CreatedAt), ExpiresAt: prediction.Time(f.ExpiresAt),
		URLs: map[string]string{"get": origin(r) + files.StoredPath + f.ID},
	}
}

// upload stores the part called `content` of a multipart form.
func (a *API) upload(w http.ResponseWriter, r *http.Request) error {
	form, err := r.MultipartReader()
	if err != nil {
		return &httpError{http.StatusUnsupportedMediaType, "send the file as the part `content` of multipart/form-data: " + err.Error()}
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return prediction.InvalidRequest(prediction.Problem{Loc: []any{"body", "content"}, Msg: "Field required", Type: "missing"})
		}
		if err != nil {
			return prediction.Refuse(prediction.Malformed, "the form ended early: "+err.Error())
		}
		if part.FormName() == "content" {
			return a.store(w, r, part)
		}
	}
}

func (a *API) store(w http.ResponseWriter, r *http.Request, part *multipart.Part) error {
	contentType := part.Header.Get("Content-Type")
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	stored, err := a.Store.Put(part.FileName(), contentType, part)
	if errors.As(err, new(files.TooLargeError)) {
		return prediction.Refuse(prediction.TooLarge, fmt.Sprintf("the file is too large: %v, see --max-input-file", err))
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, showFile(r, stored))
	return nil
}

func (a *API) fileV1(w http.ResponseWriter, r *http.Request) error {
	stored, err := a.stored(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, showFile(r, stored))
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
	h := w.Header()
	h.Set("Content-Type", stored.ContentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox") // it is a client's file, not a page of ours
	http.ServeContent(w, r, stored.Name, time.Time{}, contents)
	return nil
}

func (a *API) stored(r *http.Request) (files.Stored, error) {
	stored, err := a.Store.Get(r.PathValue("id"))
	if errors.Is(err, files.ErrNotStored) {
		return stored, prediction.Refuse(prediction.NotFound, err.Error())
	}
	return stored, err
}
