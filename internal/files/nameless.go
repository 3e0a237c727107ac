package files

import (
	"errors"
	"io"
	"os"
)

// Nameless returns a temporary file with what fill writes. Because the file does not have a name,
// nobody else can open it, and it is gone once it is closed. prefix names its owner while it is
// being made.
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
