package diskfault_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bittern/harness/internal/diskfault"
	"bittern/plugins"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	underFile := filepath.Join(t.TempDir(), "file", "folder")
	if err := os.WriteFile(filepath.Dir(underFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		err  error
		want string
	}{
		"full disk":       {&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, "the disk is full: runs/x could not be written"},
		"quota":           {fmt.Errorf("save: %w", syscall.EDQUOT), "the disk is full"},
		"permission":      {syscall.EACCES, "runs/x cannot be written (permission denied)"},
		"read-only":       {syscall.EROFS, "runs/x cannot be written (permission denied)"},
		"file, no folder": {os.MkdirAll(underFile, 0o700), "runs/x cannot be written (a file stands where a folder is needed)"},
	}
	for name, test := range tests {
		err := diskfault.Explain(test.err, "runs/x")
		var problem *plugins.Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want a Problem with %q", name, err, test.want)
		}
	}
}

func TestExplainKeepsTheRest(t *testing.T) {
	t.Parallel()
	if err := diskfault.Explain(nil, "x"); err != nil {
		t.Errorf("no error became %v", err)
	}
	problem := plugins.Problemf("already told")
	if err := diskfault.Explain(problem, "x"); err != problem {
		t.Errorf("a Problem became %v", err)
	}
	if err := diskfault.Explain(io.ErrUnexpectedEOF, "x"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want it to wrap %v", err, io.ErrUnexpectedEOF)
	}
}
