package files

import (
	"encoding/json"
	"io"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"
)

// Stored describes an uploaded file.
type Stored struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	ContentType string          `json:"content_type"`
	Metadata    json.RawMessage `json:"metadata,omitempty"` // an object of the client's own
	Size        int64           `json:"size"`
	SHA256      string          `json:"sha256"`
	CreatedAt   time.Time       `json:"created_at"`
	ExpiresAt   time.Time       `json:"expires_at"`
}

// NewStored describes a file that is being stored. The name is the client's, and is made safe.
func NewStored(id, name, contentType string, now time.Time, keep time.Duration) Stored {
	s := Stored{
		ID: id, Name: safeName(name), ContentType: contentType,
		CreatedAt: now.UTC(), ExpiresAt: now.UTC().Add(keep),
	}
	if s.Name == "" {
		s.Name = "file" + extension(contentType)
	}
	return s
}

// Finder finds uploaded files.
type Finder interface {
	// Find opens the file that a URL means. It returns ErrNotStored if there isn't one.
	Find(target *url.URL) (Stored, io.ReadCloser, error)
}

// StoredID reports whether an id has the form of those of stored files. Such an id is safe as the
// name of a directory, and as a part of a path.
func StoredID(id string) bool { return storedID.MatchString(id) }

var storedID = regexp.MustCompile(`^[a-z0-9]{8,64}$`)

// StoredPath is the path below which the API serves stored files.
const StoredPath = "/v1/files/"

// StoredIn returns the id of the stored file that a URL may mean. It ignores the host and the
// beginning of the path, because clients and proxies know this server by different ones. Ids can't
// be guessed, so the URL of another server does not match one by chance.
func StoredIn(target *url.URL) (id string, ok bool) {
	dir, id := path.Split(target.Path)
	return id, strings.HasSuffix(dir, StoredPath) && StoredID(id)
}
