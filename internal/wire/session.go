package wire

import (
	"errors"
	"fmt"
	"os"

	"bittern/internal/arena"
)

// Session holds the mapping of the tensors that a plugin uses for longer than one call. The zero
// value is an empty session.
type Session struct{ current *arena.Mapping }

// Replace runs open with a new mapping. If open succeeds, the mapping replaces the one before,
// which is unmapped; otherwise the session stays as it was.
func (s *Session) Replace(open func(*arena.Mapping) error) error {
	next := new(arena.Mapping)
	if err := open(next); err != nil {
		return errors.Join(err, next.Close())
	}
	previous := s.current
	s.current = next
	if previous == nil {
		return nil
	}
	return previous.Close()
}

// Close unmaps the session's files.
func (s *Session) Close() error {
	if s.current == nil {
		return nil
	}
	err := s.current.Close()
	s.current = nil
	return err
}

// Answer holds the tensors of a plugin's last response. The plugin makes them, since the host
// does not know their size beforehand. The zero value is empty.
type Answer struct{ current *arena.Arena }

// Next returns an arena for the tensors of a new response, and removes those of the response
// before.
func (a *Answer) Next() (*arena.Arena, error) {
	if err := a.Close(); err != nil {
		return nil, err
	}
	next, err := arena.Create("", 0)
	if err != nil {
		return nil, err
	}
	a.current = next
	return next, nil
}

// Close removes the last response's tensors.
func (a *Answer) Close() error {
	if a.current == nil {
		return nil
	}
	err := a.current.Close()
	a.current = nil
	return err
}

// answerMargin is how many bytes an answer may have beyond the size of the session's tensors.
// The normalization tables of long sequences need them.
const answerMargin = 256 << 20

// ErrUnreadable says that the tensors of an answer cannot be read where it says that they are.
var ErrUnreadable = errors.New("the tensors of the answer cannot be read")

// ReadAnswer runs read on the tensors of a response and then removes their files, so that a
// plugin which is killed leaves nothing behind. An answer may have as many bytes as the
// session's arena and answerMargin together. An error of read is wrapped in ErrUnreadable.
func ReadAnswer(session *arena.Arena, read func(*arena.Reader) error) error {
	reader := &arena.Reader{Limit: int64(session.Size()) + answerMargin}
	err := read(reader)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	files := reader.Files()
	err = errors.Join(err, reader.Close())
	for _, file := range files {
		// Windows cannot remove a file that the plugin still maps; there the plugin removes it.
		_ = os.Remove(file)
	}
	return err
}
