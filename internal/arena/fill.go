package arena

import (
	"io"
	"os"
)

// fill writes zeros, which reserves the space of a file on every file system.
func fill(file *os.File, size int64) error {
	_, err := io.CopyN(io.NewOffsetWriter(file, 0), zeros{}, size)
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
