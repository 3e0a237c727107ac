package files

import (
	"errors"
	"io"
	"os"
)

// Nameless returns a temporary file, written by fill. Because the file does not have a name, nobody
// else can open it, and it is gone once it is closed. prefix begins its name for the moment before
// the name is removed.
func Nameless(prefix string, fill func(io.Writer) (int64, error)) (*os.File, error) {
	file, err := os.CreateTemp("", prefix)
	if err != nil {
		return nil, err
	}
	err = os.Remove(file.Name())
	if err == nil {
		_, err = fill(file)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
