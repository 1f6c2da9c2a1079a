package host

import (
	"bufio"
	"io"
	"strings"
	"sync"
)

// printed reads what a plugin prints to stdout. The first line is to be its handshake,
// "core protocol|contract version|network|address|…"; readers get that line alone. All
// else goes to the log, as if it had been written to stderr: in Python and other languages
// print writes to stdout.
type printed struct {
	stdout *bufio.Reader
	log    io.Writer

	mu    sync.Mutex
	first []byte // line, as far as it is kept
	begun bool   // the first line has been read
	rest  []byte // of the first line, to be read
}

// longestFirst is how much of the first line is kept: far more than a handshake takes.
const longestFirst = 4096

// Read reads the first line. The next call returns when stdout has ended, and takes all
// that comes until then to the log.
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
		line, err := p.stdout.ReadSlice('\n') // a longer line comes in pieces
		if err != nil && err != bufio.ErrBufferFull && len(line) > 0 {
			line = append(line, '\n') // what comes last ends its line
		}
		if len(line) > 0 {
			_, _ = p.log.Write(line) // the log tells for itself that it cannot be written
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

// version returns the contract version of the handshake, and whether there was one.
func (p *printed) version() (version string, ok bool) {
	parts := strings.SplitN(p.line(), "|", 4)
	if len(parts) < 4 {
		return "", false
	}
	return parts[1], true
}

// line is the first line.
func (p *printed) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimSpace(string(p.first))
}
