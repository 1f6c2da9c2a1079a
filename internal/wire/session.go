package wire

import (
	"errors"
	"fmt"
	"os"

	"bittern/internal/arena"
)

// Session holds the files whose tensors a plugin was handed for longer than one
// call. The zero value is an empty session.
type Session struct{ current *arena.Mapping }

// Replace runs open with a new mapping. When open succeeds the mapping takes
// the place of the one before, which is unmapped; else the session stays as it was.
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

// Answer holds the tensors of a plugin's last response, whose size the host
// could not know beforehand. The zero value is empty.
type Answer struct{ current *arena.Arena }

// Next returns an arena for the tensors of a new response and gives up those of
// the response before.
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

// answerMargin is what an answer may hold beyond the tensors of its session, in
// bytes: the normalization tables of long sequences.
const answerMargin = 256 << 20

// ErrUnreadable says that the tensors of an answer are not where it says they are.
var ErrUnreadable = errors.New("the tensors of the answer cannot be read")

// ReadAnswer runs read on a response's tensors, and removes their files
// afterwards: a plugin that is killed then leaves nothing behind. An answer may
// hold as much as the session's arena and answerMargin together. What read returns
// is ErrUnreadable.
func ReadAnswer(session *arena.Arena, read func(*arena.Reader) error) error {
	reader := &arena.Reader{Limit: int64(session.Size()) + answerMargin}
	err := read(reader)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	files := reader.Files()
	err = errors.Join(err, reader.Close())
	for _, file := range files {
		// Where the file cannot be removed yet (Windows, while the plugin
		// still maps it) the plugin removes it itself.
		_ = os.Remove(file)
	}
	return err
}
