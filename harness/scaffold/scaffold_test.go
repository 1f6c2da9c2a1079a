package scaffold_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"bittern/harness/scaffold"
	"bittern/plugins"
	"bittern/plugins/examples"
)

// TestNew checks that a copy has the plugin's name instead of the example's everywhere, and that
// no file is missing. The tests of the command line check that copies build and run.
func TestNew(t *testing.T) {
	t.Parallel()
	source, err := scaffold.Source("")
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range examples.All {
		id := plugins.ID{Kind: example.Kind, Name: "mine"}
		files, err := scaffold.New(example, id, source)
		if err != nil {
			t.Fatal(err)
		}
		for path, content := range files {
			if strings.Contains(path, example.Name) || strings.Contains(string(content), example.Name) {
				t.Errorf("%s of a copy of %s still has that name", path, example.Name)
			}
		}
		want := []string{".gitignore", "README.md", scaffold.SuiteFile, "main.go", "main_test.go", "go.mod", "go.sum"}
		if example.Language == examples.Python {
			want = []string{".gitignore", "README.md", scaffold.SuiteFile, "requirements.txt", id.Executable(), "bittern_plugin.py", "contract.binpb"}
		}
		for _, path := range want {
			if len(files[path]) == 0 {
				t.Errorf("a copy of %s has no %s", example.Name, path)
			}
		}
		if len(files) != len(want) {
			t.Errorf("a copy of %s has %d files, want the %d of %v", example.Name, len(files), len(want), want)
		}
	}
}

// TestGoMod checks that a plugin requires its modules in the versions that Bittern requires.
func TestGoMod(t *testing.T) {
	t.Parallel()
	source, err := scaffold.Source("")
	if err != nil {
		t.Fatal(err)
	}
	files, err := scaffold.New(examples.All[0], plugins.ID{Kind: plugins.KindQuantizer, Name: "mine"}, source)
	if err != nil {
		t.Fatal(err)
	}
	made, err := modfile.Parse("go.mod", files["go.mod"], nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	bittern, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{"bittern": "v0.0.0"}
	for _, r := range bittern.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	for _, r := range made.Require {
		if r.Mod.Version != versions[r.Mod.Path] || r.Indirect != (r.Mod.Path != "bittern") {
			t.Errorf("go.mod requires %s, indirect %t; Bittern has %s", r.Mod, r.Indirect, versions[r.Mod.Path])
		}
		delete(versions, r.Mod.Path)
	}
	if len(versions) > 0 {
		t.Errorf("go.mod does not require %v", versions)
	}
	if len(made.Replace) != 1 || made.Replace[0].New.Path != source {
		t.Errorf("go.mod replaces %v, want bittern by %s", made.Replace, source)
	}
}

// TestSource has executables that were built with -trimpath, which do not know their source.
func TestSource(t *testing.T) {
	t.Parallel()
	here, err := scaffold.Source("")
	if err != nil {
		t.Fatal(err)
	}
	const trimmed = "bittern/harness/scaffold/scaffold.go"
	if got, err := scaffold.SourceIn(here, trimmed); got != here || err != nil {
		t.Errorf("a released executable takes the given source as %q, error %v; want %q", got, err, here)
	}
	for _, c := range []struct{ given, file, want string }{
		{t.TempDir(), trimmed, "Bittern's source is not in "},
		{"", trimmed, "this bittern does not know where its source is"},
		{"", filepath.Join(t.TempDir(), trimmed), "Bittern's source is not in "},
	} {
		_, err := scaffold.SourceIn(c.given, c.file)
		if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.HasPrefix(problem.Sentence, c.want) || !strings.HasSuffix(problem.Sentence, "name a checkout of it with --source") {
			t.Errorf("source %q of an executable with %s: %v, want the problem %q that names --source", c.given, c.file, err, c.want)
		}
	}
}
