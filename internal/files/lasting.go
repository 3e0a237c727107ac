package files

import (
	"errors"
	"io"
	"os"
)

// lasting opens the current contents of an output file so that they cannot change. A model may keep
// its file open, mapped or under another name, and write to it long after the prediction has ended.
// A temporary file that nobody else can reach is used itself, without its name. Any other file is
// copied to a file without a name; some file systems share the blocks.
func (c *contents) lasting() (*os.File, error) {
	if c.Temporary {
		_ = os.Remove(c.Path) // if that fails, links shows it
		c.Temporary = false   // the name may belong to another file later
		if c.unreachable() {
			return c.file, nil
		}
	}
	return Nameless("coggo-output-", c.copyTo)
}

// copyTo copies the bytes that the file had when it was inspected. If it can, the kernel copies
// them itself.
func (c *contents) copyTo(to io.Writer) (int64, error) {
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.CopyN(to, c.file, c.size)
	if errors.Is(err, io.EOF) {
		err = errors.New("the file has shrunk in the meantime")
	}
	return n, err
}

// unreachable reports whether only this process has the file and another one cannot open it: the
// file does not have a name, another descriptor or a mapping.
func (c *contents) unreachable() bool {
	info, err := c.file.Stat()
	return err == nil && links(info) == 0 && lease(c.file, forNobodyElse)
}
