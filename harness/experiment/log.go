package experiment

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"sync"

	"bittern/harness/internal/runfolder"
	"bittern/internal/host"
)

const (
	logName = "log" // in an experiment's folder
	maxLog  = 64 << 20
)

// pluginLog keeps all that the plugins of an experiment print, to stdout or stderr, of
// which messages show the last lines. The file is made when there is something to keep.
// Later sittings and deployments append to it, until it has 64 MiB. An experiment does not
// fail because its log cannot be written.
type pluginLog struct {
	folder string // the experiment's; nothing is kept where it is empty
	// tell, if it is not nil, is called with each line that a plugin prints too.
	tell func(plugin Plugin, line string)

	mu   sync.Mutex
	file *os.File
	size int64
	last string // plugin that wrote
	err  error  // the first, after which nothing is written
}

// of returns what keeps the words of one plugin. A nil log keeps none.
func (l *pluginLog) of(plugin Plugin) io.Writer {
	switch {
	case l == nil:
		return nil
	case l.tell == nil:
		return logged{l, plugin.String()}
	}
	return io.MultiWriter(logged{l, plugin.String()}, host.Lines(func(line string) { l.tell(plugin, line) }))
}

type logged struct {
	*pluginLog
	plugin string
}

// Write never fails: [pluginLog.close] returns the error.
func (l logged) Write(words []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && l.folder != "" {
		l.err = l.write(l.plugin, words)
	}
	return len(words), nil
}

func (l *pluginLog) write(plugin string, words []byte) error {
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	text := words
	if plugin != l.last {
		text = append(fmt.Appendf(nil, "== %s\n", plugin), words...)
		l.last = plugin
	}
	if l.size+int64(len(text)) > maxLog {
		_, err := l.file.WriteString("\n== the rest is left out\n")
		return cmp.Or(err, fmt.Errorf("it has %d MiB, which is the most that is kept", maxLog>>20))
	}
	n, err := l.file.Write(text)
	l.size += int64(n)
	return err
}

func (l *pluginLog) open() error {
	folder, err := runfolder.Make(l.folder)
	if err != nil {
		return err
	}
	defer folder.Close()
	if l.file, err = runfolder.OpenFile(folder, logName, os.O_WRONLY|os.O_CREATE|os.O_APPEND); err != nil {
		return err
	}
	info, err := l.file.Stat()
	if err == nil {
		l.size = info.Size()
	}
	return err
}

// close returns why the log is not complete, if it is not.
func (l *pluginLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.err = cmp.Or(l.err, l.file.Close())
		l.file = nil
	}
	return l.err
}
