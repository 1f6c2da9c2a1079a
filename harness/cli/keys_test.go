package cli_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/cli"
)

var update = flag.Bool("update", false, "write the list of keys in docs/suites.md anew")

// suiteKey is a key as `suites keys --format json` prints it.
type suiteKey struct {
	Name, Task, Type, Default, Allowed, Flag, Variable, Doc string
	Required                                                bool
}

// TestDocsHaveEveryKey checks that docs/suites.md lists exactly the keys that the program allows
// in suite files.
func TestDocsHaveEveryKey(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code := cli.Run([]string{"suites", "keys", "--format", "json"}, &out, io.Discard, nil); code != 0 {
		t.Fatalf("suites keys: exit code %d", code)
	}
	var keys []suiteKey
	if err := json.Unmarshal(out.Bytes(), &keys); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "suites.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), "-update -->\n")
	got, after, ends := strings.Cut(rest, "<!-- end of keys -->")
	if !begins || !ends {
		t.Fatalf("%s has no comments around the list of keys", path)
	}
	want := keysPage(keys)
	if *update && got != want {
		if err := os.WriteFile(path, []byte(before+"-update -->\n"+want+"<!-- end of keys -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the list of keys in docs/suites.md (+) is not the program's (-); run this test with -update\n%s", diff)
	}
}

// lists are the keys of lists of plugins.
var lists = []string{"models[]", "quantizers[]", "backends[]"}

// keysPage returns the list of keys in Markdown, with a table for each mapping of a suite file.
// The keys that entries of all three lists of plugins have are written once.
func keysPage(keys []suiteKey) string {
	var page strings.Builder
	of := func(mapping, task string) (found []suiteKey) {
		for _, key := range keys {
			if above, name := parent(key.Name); above == mapping && key.Task == task {
				key.Name = name
				found = append(found, key)
			}
		}
		return found
	}
	section := func(title string, keys []suiteKey) {
		fmt.Fprintf(&page, "\n### %s\n\n| key | type | default | allowed | flag, variable | meaning |\n|---|---|---|---|---|---|\n", title)
		for _, key := range keys {
			standard, replaced := quoted(key.Default), ""
			if key.Required {
				standard = "required"
			}
			if key.Flag != "" {
				replaced = quoted("--"+key.Flag) + ", " + quoted(key.Variable)
			}
			fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s | %s |\n", key.Name, key.Type, standard, key.Allowed, replaced, escaped(key.Doc))
		}
	}
	section("The suite", of("", ""))
	section("`training`, of the suite or of a task", of("training", ""))
	section("An entry of `tasks`", of("tasks[]", ""))
	var tasks []string
	for _, key := range keys {
		if key.Task != "" && !slices.Contains(tasks, key.Task) {
			tasks = append(tasks, key.Task)
		}
	}
	for _, task := range tasks {
		section(fmt.Sprintf("An entry of `tasks` with `task: %s`", task), of("tasks[]", task))
	}
	shared := func(key suiteKey) bool {
		return !slices.ContainsFunc(lists, func(list string) bool { return !slices.Contains(of(list, ""), key) })
	}
	section("An entry of `models`, `quantizers` or `backends`", slices.DeleteFunc(of(lists[0], ""), func(key suiteKey) bool { return !shared(key) }))
	for _, list := range lists {
		if own := slices.DeleteFunc(of(list, ""), shared); len(own) > 0 {
			section(fmt.Sprintf("An entry of `%s` alone", strings.TrimSuffix(list, "[]")), own)
		}
	}
	section("`freeze`", of("freeze", ""))
	page.WriteString("\n")
	return page.String()
}

// parent splits the name of a key into the mapping, which is empty for the suite itself, and the
// key in that mapping.
func parent(name string) (mapping, key string) {
	at := strings.LastIndex(name, ".")
	if at < 0 {
		return "", name
	}
	return name[:at], name[at+1:]
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// escaped returns text for a cell of a Markdown table.
func escaped(text string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "[", `\[`).Replace(text)
}
