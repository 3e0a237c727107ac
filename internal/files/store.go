package files

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Store keeps files that clients upload before they use them as inputs. Each has its own directory,
// with its contents and its description.
type Store struct {
	Dir      string
	MaxBytes int64         // of one file; 0: no limit
	MaxTotal int64         // of all files together; 0: no limit
	Keep     time.Duration // a file is removed after it
	Now      func() time.Time
	NewID    func() string // of lowercase letters and digits, not to be guessed

	mu    sync.Mutex // guards the rest
	swept time.Time  // the last search for expired files
	taken int64      // bytes that are stored, or reserved for running uploads
	count sync.Once  // counts the files that an earlier server has stored
}

const (
	storedContents = "contents"
	storedAbout    = "about.json"
)

// mostAbout bounds the description of a file, in bytes. The API accepts less as a client's
// metadata.
const mostAbout = 1 << 20

// ErrNotStored says that there isn't a file with an id, or that it has expired.
var ErrNotStored = errors.New("no file has this id; uploaded files are kept for a while")

// FullError is the limit in bytes of all uploads together.
type FullError int64

func (e FullError) Error() string {
	return fmt.Sprintf("the uploads together would be larger than %d bytes", int64(e))
}

// ErrNoRoom is the error of an upload for which the broker of a queue has no room.
var ErrNoRoom = errors.New("the broker is full")

// NewestFirst sorts stored files by the time of their upload.
func NewestFirst(all []Stored) {
	slices.SortStableFunc(all, func(a, b Stored) int { return b.CreatedAt.Compare(a.CreatedAt) })
}

// room reads an upload while the store has room for it. It reserves room piece by piece, because a
// part of a form tells its length only at its end.
type room struct {
	io.Reader
	store *Store
	left  int64 // reserved and not used yet
	taken int64
}

// roomPiece is how many bytes are reserved at once.
const roomPiece = 1 << 20

func (r *room) Read(p []byte) (int, error) {
	if r.store.MaxTotal == 0 {
		return r.Reader.Read(p)
	}
	if r.left == 0 {
		got, err := r.store.take(roomPiece)
		if err != nil {
			return 0, err
		}
		r.left, r.taken = got, r.taken+got
	}
	n, err := r.Reader.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}

func (r *room) release() { r.store.use(-r.taken) }

// take reserves up to most bytes of room.
func (s *Store) take(most int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := min(most, s.MaxTotal-s.taken)
	if got <= 0 {
		return 0, FullError(s.MaxTotal)
	}
	s.taken += got
	return got, nil
}

// use adds to the stored bytes; a negative number frees them.
func (s *Store) use(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = max(0, s.taken+bytes)
}

// countStored counts the files of an earlier server.
func (s *Store) countStored() {
	all, _ := s.List() // it never fails
	for _, about := range all {
		s.use(about.Size + storedRoom)
	}
}

// drop removes a file. If several callers do so at once, one of them frees its bytes.
func (s *Store) drop(id string) error {
	dir := filepath.Join(s.Dir, id)
	info, err := os.Stat(filepath.Join(dir, storedContents))
	if os.Remove(filepath.Join(dir, storedAbout)) == nil && err == nil {
		s.use(-info.Size() - storedRoom)
	}
	return os.RemoveAll(dir)
}

// storedRoom is the approximate number of bytes that a stored file takes in addition to its
// contents.
const storedRoom = 4 << 10

// Put stores body; from time to time it removes expired files. It returns a FullError if there
// isn't enough room.
func (s *Store) Put(name, contentType string, body io.Reader) (_ Stored, err error) {
	s.count.Do(s.countStored)
	s.sweep()
	about := NewStored(s.NewID(), name, contentType, s.Now(), s.Keep)
	dir := filepath.Join(s.Dir, about.ID)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("store an upload: %w", err), os.RemoveAll(dir))
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return about, err
	}
	sum := sha256.New()
	f := Fetcher{MaxBytes: s.MaxBytes}
	within := &room{Reader: body, store: s}
	defer within.release()
	if err := f.write(filepath.Join(dir, storedContents), io.TeeReader(within, sum)); err != nil {
		return about, err
	}
	about.SHA256 = hex.EncodeToString(sum.Sum(nil))
	info, err := os.Stat(filepath.Join(dir, storedContents))
	if err != nil {
		return about, err
	}
	about.Size = info.Size()
	if err := s.writeMeta(about); err != nil {
		return about, err
	}
	s.use(about.Size + storedRoom)
	return about, nil
}

// Get returns the description of the file with an id, or ErrNotStored.
func (s *Store) Get(id string) (about Stored, err error) {
	if !StoredID(id) {
		return about, ErrNotStored
	}
	file, err := open(filepath.Join(s.Dir, id, storedAbout))
	if errors.Is(err, fs.ErrNotExist) {
		return about, ErrNotStored
	}
	if err != nil {
		return about, fmt.Errorf("read an upload: %w", err)
	}
	defer file.Close()
	if err := json.NewDecoder(io.LimitReader(file, mostAbout)).Decode(&about); err != nil {
		return about, fmt.Errorf("read an upload: %w", err)
	}
	if s.Now().After(about.ExpiresAt) {
		return Stored{}, ErrNotStored
	}
	return about, nil
}

// Open opens the contents of the file with an id.
func (s *Store) Open(id string) (io.ReadSeekCloser, error) {
	if _, err := s.Get(id); err != nil {
		return nil, err
	}
	return open(filepath.Join(s.Dir, id, storedContents))
}

// Find opens the stored file that a URL means.
func (s *Store) Find(target *url.URL) (Stored, io.ReadCloser, error) {
	id, ok := StoredIn(target)
	if !ok {
		return Stored{}, nil, ErrNotStored
	}
	about, err := s.Get(id)
	if err != nil {
		return about, nil, err
	}
	file, err := open(filepath.Join(s.Dir, id, storedContents))
	return about, file, err
}

// storedDownload is the path of the contents below that of the stored file, at which its
// description is.
const storedDownload = "download"

// storedURL matches the path of a stored file with an id that a server has made.
var storedURL = regexp.MustCompile("(^|/)v1/files/[a-z2-7]{26}$")

// mayBeStored reports whether a URL that Find does not know may mean a file of another server.
func mayBeStored(target *url.URL) bool { return storedURL.MatchString(target.Path) }

// Describe adds the client's metadata to the description of a stored file.
func (s *Store) Describe(about Stored, metadata json.RawMessage) (Stored, error) {
	about.Metadata = metadata
	return about, s.writeMeta(about)
}

// writeMeta writes the description of a file, by rename.
func (s *Store) writeMeta(about Stored) error {
	data, err := json.Marshal(about)
	if err != nil {
		return err
	}
	path := filepath.Join(s.Dir, about.ID, storedAbout)
	file, err := create(path + ".new")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// List returns the descriptions of all stored files, the newest first.
func (s *Store) List() ([]Stored, error) {
	entries, _ := os.ReadDir(s.Dir) // an error means that nothing was ever stored
	var all []Stored
	for _, entry := range entries {
		if about, err := s.Get(entry.Name()); err == nil {
			all = append(all, about)
		}
	}
	NewestFirst(all)
	return all, nil
}

// Delete removes the file with an id. It returns ErrNotStored if there isn't one.
func (s *Store) Delete(id string) error {
	if _, err := s.Get(id); err != nil {
		return err
	}
	return s.drop(id)
}

// sweepEvery is how often Put searches for expired files. A search reads the description of every
// file, and uploads may come by the thousand.
const sweepEvery = time.Minute

// due reports whether it is time for a sweep.
func (s *Store) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	if now.Sub(s.swept) < sweepEvery {
		return false
	}
	s.swept = now
	return true
}

// sweep removes expired files.
func (s *Store) sweep() {
	if !s.due() {
		return
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return // nothing was ever stored
	}
	for _, entry := range entries {
		if _, err := s.Get(entry.Name()); errors.Is(err, ErrNotStored) {
			if info, err := entry.Info(); err == nil && s.Now().Sub(info.ModTime()) > s.Keep {
				_ = s.drop(entry.Name()) // tried again at the next upload
			}
		}
	}
}
