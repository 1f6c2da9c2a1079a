package cli

import (
	"fmt"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"bittern/harness/internal/terminal"
)

// downloads shows the progress of one download after another: on a terminal as a line that
// changes, elsewhere as a new line every few seconds.
type downloads struct {
	out  *terminal.Writer
	stop func()

	mu          sync.Mutex
	file        string
	done, total int64 // bytes
	before      int64 // bytes that were there before the download began
	began       time.Time
	written     time.Time // when the last line was written
}

func newDownloads(out *terminal.Writer) *downloads {
	d := &downloads{out: out}
	d.stop = out.Show(d.lines)
	return d
}

func (d *downloads) close() { d.stop() }

func (d *downloads) update(file string, done, total int64) {
	if line := d.updated(file, done, total); line != "" && !d.out.Interactive() {
		fmt.Fprintln(d.out, line)
	}
}

// updated records the progress of a download. It returns the next line to write, or "" if none
// is due yet.
func (d *downloads) updated(file string, done, total int64) (line string) {
	const every = 5 * time.Second
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.done, d.total = done, total
	switch {
	case file != d.file:
		d.file, d.before, d.began, d.written = file, done, now, now
		return fmt.Sprintf("fetching %s, %d bytes", file, total)
	case now.Sub(d.written) >= every:
		d.written = now
		return fmt.Sprintf("fetching %s: %d of %d bytes, %d%%", file, done, total, 100*done/max(1, total))
	}
	return ""
}

// lines returns the status lines for a terminal of this many columns.
func (d *downloads) lines(columns int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == "" {
		return nil
	}
	amount := fmt.Sprintf("%s of %s", humanize.Bytes(uint64(d.done)), humanize.Bytes(uint64(d.total)))
	var speed, left string
	if elapsed, fetched := time.Since(d.began), d.done-d.before; elapsed >= time.Second && fetched > 0 {
		speed = humanize.Bytes(uint64(float64(fetched)/elapsed.Seconds())) + "/s"
		left = time.Duration(float64(elapsed)*float64(d.total-d.done)/float64(fetched)).Round(time.Second).String() + " left"
	}
	return []string{terminal.Fit(columns,
		terminal.Part{Text: "fetching " + d.file, Least: 12}, terminal.Part{Text: amount}, terminal.Part{Text: speed, Rank: 2}, terminal.Part{Text: left, Rank: 1})}
}
