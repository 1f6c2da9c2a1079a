package suite

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"

	"bittern/plugins"
)

//go:embed suites/*.yaml
var embedded embed.FS

// Names lists the suites that come with the program.
func Names() []string {
	entries, err := embedded.ReadDir("suites")
	if err != nil {
		panic(err) // the folder is part of the executable
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".yaml")
	}
	slices.Sort(names) // the files' order is another: "-" comes before "."
	return names
}

// Load reads the suite that comes with the program under this name, or the
// suite file at this path. What is wrong with it is a *plugins.Problem.
func Load(nameOrPath string) (*Suite, error) {
	if slices.Contains(Names(), nameOrPath) {
		content, err := embedded.ReadFile(path.Join("suites", nameOrPath+".yaml"))
		if err != nil {
			return nil, err
		}
		return Parse("suite "+nameOrPath, content)
	}
	content, err := os.ReadFile(nameOrPath)
	switch {
	case err == nil:
		return Parse("suite file "+nameOrPath, content)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, plugins.Problemf("suite file %s cannot be read (%v); give a readable YAML file or one of %s",
			nameOrPath, reason(err), strings.Join(Names(), ", "))
	case filepath.Base(nameOrPath) != nameOrPath || filepath.Ext(nameOrPath) != "":
		return nil, plugins.Problemf("there is no suite file %s; give the path of a YAML file or one of %s",
			nameOrPath, strings.Join(Names(), ", "))
	}
	return nil, plugins.Problemf("there is no suite %q%s; give the path of a YAML file or one of %s",
		nameOrPath, plugins.DidYouMean(nameOrPath, Names()), strings.Join(Names(), ", "))
}

func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// Parse reads a suite from YAML; origin names it in the sentence of a Problem.
func Parse(origin string, content []byte) (*Suite, error) {
	source := viper.New()
	source.SetConfigType("yaml")
	if err := source.ReadConfig(bytes.NewReader(content)); err != nil {
		return nil, plugins.Problemf("%s is not valid YAML: %s", origin, oneLine(err))
	}
	s := &Suite{Threads: 2, Training: recipe, Freeze: freeze}
	if err := decode(source.AllSettings(), s); err != nil {
		return nil, plugins.Problemf("%s: %s", origin, oneLine(err))
	}
	for i := range s.Tasks {
		task := &s.Tasks[i]
		task.Training = s.Training
		if err := decode(task.Override, &task.Training); err != nil {
			return nil, plugins.Problemf("%s: training of task %d: %s", origin, i+1, oneLine(err))
		}
	}
	s.label()
	if err := s.check(); err != nil {
		return nil, plugins.Problemf("%s: %s", origin, err)
	}
	return s, nil
}

// decode fills out from settings as viper's UnmarshalExact would; it is used
// directly because the second decoding, of a task's training keys, starts
// from a filled struct, and so that an unknown key is answered with the
// nearest known one.
func decode(settings map[string]any, out any) error {
	var metadata mapstructure.Metadata
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:     out,
		Metadata:   &metadata,
		DecodeHook: optionList,
	})
	if err != nil {
		return err
	}
	if err := decoder.Decode(settings); err != nil {
		return err
	}
	if len(metadata.Unused) > 0 {
		slices.Sort(metadata.Unused)
		unknown := metadata.Unused[0]
		return fmt.Errorf("there is no key %q%s", unknown,
			plugins.DidYouMean(unknown, append(metadata.Keys, metadata.Unset...)))
	}
	return nil
}

// optionList turns the list ["units=512", …] into option values.
func optionList(from, to reflect.Type, data any) (any, error) {
	if to != reflect.TypeFor[plugins.Values]() {
		return data, nil
	}
	list, ok := data.([]any)
	if !ok {
		return nil, fmt.Errorf("options must be a list such as [units=512]")
	}
	values := make(plugins.Values, len(list))
	for _, item := range list {
		name, value, found := strings.Cut(fmt.Sprint(item), "=")
		if !found {
			return nil, fmt.Errorf("option %q must be written name=value", item)
		}
		name = strings.TrimSpace(name)
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("option %s is given twice", name)
		}
		values[name] = strings.TrimSpace(value)
	}
	return values, nil
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
