package host

import (
	"bufio"
	"io"
	"strings"
	"sync"
)

// printed reads what a plugin prints to stdout. The first line should be its handshake, "core
// protocol|contract version|network|address|…", and is all that readers get. The rest goes to
// the log, as if the plugin had printed it to stderr, because print in Python and other
// languages writes to stdout.
type printed struct {
	stdout *bufio.Reader
	log    io.Writer

	mu    sync.Mutex
	first []byte // the first line, as much of it as is kept
	begun bool   // the first line has been read
	rest  []byte // of the first line, which Read has yet to return
}

// longestFirst is how many bytes of the first line are kept, far more than a handshake has.
const longestFirst = 4096

// Read returns the first line. The next call returns when stdout has ended; until then it writes
// everything to the log.
func (p *printed) Read(buffer []byte) (int, error) {
	if !p.begun {
		p.begun = true
		if err := p.readFirst(); err != nil {
			return 0, err
		}
	}
	if len(p.rest) > 0 {
		n := copy(buffer, p.rest)
		p.rest = p.rest[n:]
		return n, nil
	}
	for {
		line, err := p.stdout.ReadSlice('\n') // returns a long line in pieces
		if err != nil && err != bufio.ErrBufferFull && len(line) > 0 {
			line = append(line, '\n') // stdout ended within a line
		}
		if len(line) > 0 {
			_, _ = p.log.Write(line) // the log reports its own errors
		}
		if err != nil && err != bufio.ErrBufferFull {
			return 0, err
		}
	}
}

func (p *printed) readFirst() error {
	line, err := p.stdout.ReadSlice('\n')
	if len(line) == 0 {
		return err
	}
	p.mu.Lock()
	p.first = append(p.first, line[:min(len(line), longestFirst)]...)
	p.mu.Unlock()
	if _, ok := p.version(); !ok {
		_, _ = p.log.Write(line) // as in Read
	}
	p.rest = p.first
	return nil
}

// version returns the contract version of the handshake; ok is false if there was no handshake.
func (p *printed) version() (version string, ok bool) {
	parts := strings.SplitN(p.line(), "|", 4)
	if len(parts) < 4 {
		return "", false
	}
	return parts[1], true
}

// line returns the first line.
func (p *printed) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimSpace(string(p.first))
}
