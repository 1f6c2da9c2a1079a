package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"bittern/plugins"
)

// dashes turns the name of a flag into that of an environment variable.
var dashes = strings.NewReplacer("-", "_")

// environment is the prefix of all environment variables.
const environment = "BITTERN"

// variable returns the environment variable of a flag.
func variable(flag string) string {
	return environment + "_" + strings.ToUpper(dashes.Replace(flag))
}

// settle fills the fields of settings from the command line or, if that does not have the flag,
// the environment. The fields are tagged with the names of flags. An empty variable counts as
// not set. A field that neither sets keeps its value, so that is the default. The default of the
// flag itself is only shown in its help.
func settle(command *cobra.Command, settings any) error {
	source := viper.New()
	source.SetEnvPrefix(environment)
	source.SetEnvKeyReplacer(dashes)
	source.AutomaticEnv()
	if err := source.BindPFlags(command.Flags()); err != nil {
		return err
	}
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:           settings,
		WeaklyTypedInput: true, // values from the environment are text
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), listFromText),
	})
	if err != nil {
		return err
	}
	// Fields are decoded one at a time, so that an error can name the flag.
	var problem error
	command.Flags().VisitAll(func(flag *pflag.Flag) {
		if problem != nil || !source.IsSet(flag.Name) {
			return
		}
		// The usual cause is a shell variable that is not set.
		if text := flag.Value.String(); flag.Changed && (text == "" || text == "[]") {
			problem = plugins.Problemf("--%s is empty; give it a value or leave it out", flag.Name)
			return
		}
		value := source.Get(flag.Name)
		if err := decoder.Decode(map[string]any{flag.Name: value}); err != nil {
			problem = plugins.Problemf("--%s (%s in the environment) must be %s, not %q; see %s --help",
				flag.Name, variable(flag.Name), wanted(flag), fmt.Sprint(value), command.CommandPath())
		}
	})
	return problem
}

// listFromText parses a list from the environment as flags are parsed: with commas between the
// entries, and quotes around an entry that has a comma itself.
func listFromText(from, to reflect.Type, value any) (any, error) {
	text, ok := value.(string)
	if !ok || to.Kind() != reflect.Slice {
		return value, nil
	}
	reader := csv.NewReader(strings.NewReader(text))
	reader.TrimLeadingSpace = true
	return reader.Read()
}

// flagProblem returns a *plugins.Problem that says what is wrong with the flags of a command.
func flagProblem(command *cobra.Command, err error) error {
	help := command.CommandPath() + " --help"
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return plugins.Problemf("there is no flag -%s; see %s", name, help)
		}
		var names []string
		command.Flags().VisitAll(func(flag *pflag.Flag) { names = append(names, "--"+flag.Name) })
		return plugins.Problemf("there is no flag --%s%s; see %s", name, plugins.DidYouMean("--"+name, names), help)
	}
	if lacking, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return plugins.Problemf("--%s needs a value; see %s", lacking.GetFlag().Name, help)
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return plugins.Problemf("--%s must be %s, not %q; see %s", invalid.GetFlag().Name, wanted(invalid.GetFlag()), invalid.GetValue(), help)
	}
	return plugins.Problemf("%s; see %s", err, help)
}

// wanted says in words what the value of a flag must be.
func wanted(flag *pflag.Flag) string {
	switch {
	case flag.Name == "seeds", flag.Value.Type() == "intSlice":
		return "whole numbers with commas between, such as 1,2,3"
	case flag.Value.Type() == "int":
		return "a whole number"
	case flag.Value.Type() == "duration":
		return "a time such as 90s or 2m"
	case flag.Value.Type() == "bool":
		return "true or false"
	case flag.Value.Type() == "stringSlice", flag.Value.Type() == "stringArray":
		return "a list with commas between its entries"
	}
	return "a text"
}
