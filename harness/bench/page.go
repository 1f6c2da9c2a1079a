package bench

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"bittern/plugins"
	"bittern/reports/table"

	"bittern/accel/kernels/isa"
)

// Saved reads the result that a folder has of this processor's class, as Save has written it. It is
// nil if there is none. A result of another processor is a *plugins.Problem: parts measured on two
// machines do not make one.
func Saved(folder string) (*Result, error) {
	p := isa.ThisProcessor()
	path := filepath.Join(folder, FileName(p)+".json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := ReadJSON(text)
	if err != nil {
		return nil, plugins.Problemf("%s cannot be read (%v); remove it, or save elsewhere", path, err)
	}
	if r.Processor != p {
		return nil, plugins.Problemf("%s is of %s at %s, and this is %s at %s; save in another folder, or remove it", path, describe(r.Processor), r.Processor.InUse, describe(p), p.InUse)
	}
	return r, nil
}

// Save writes the result into a folder: a page to read, and JSON with every value. The files are
// named after the processor's class.
func (r *Result) Save(folder string) (page string, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	name := filepath.Join(folder, FileName(r.Processor))
	if err := write(name+".json", r.WriteJSON); err != nil {
		return "", err
	}
	return name + ".md", write(name+".md", r.writePage)
}

func write(path string, content func(io.Writer) error) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return content(file)
}

// writePage writes the machine, when each part was measured, and the table.
func (r *Result) writePage(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "# Bench: %s\n\n%s; kernels at %s. Made by `bittern bench --save`; every value is in [%s.json](%[4]s.json).\n\n",
		title(r.Processor), describe(r.Processor), r.Processor.InUse, FileName(r.Processor)); err != nil {
		return err
	}
	t := table.New("part", "measured", "took", "commit", "Go", "system", "cores", "threads", "rounds")
	t.AlignRight(2, 6, 7, 8)
	for _, p := range r.Parts {
		commit := p.Machine.Commit
		if p.Machine.Modified {
			commit += " and changes"
		}
		if err := t.Append(p.Name, p.Started.Format(time.RFC3339), fmt.Sprintf("%.0f s", p.Seconds), commit, p.Machine.Go,
			p.Machine.OS+"/"+p.Machine.Arch, fmt.Sprint(p.Machine.Cores), fmt.Sprint(p.Threads), fmt.Sprint(p.Runs)); err != nil {
			return err
		}
	}
	if err := t.Write(w); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return r.WriteTable(w)
}

func title(p isa.Processor) string {
	if p.Microarchitecture != "" {
		return p.Microarchitecture
	}
	return p.Name
}
