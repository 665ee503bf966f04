// Package completion writes the script by which a shell completes a command line, from the same model that parses it. The script is static, so that a shell completes without
// starting the program.
package completion

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Write writes the script of a shell (bash, zsh or fish) for a program.
func Write(out io.Writer, shell string, program *kong.Node) {
	words := completionWords(program)
	switch shell {
	case "bash":
		writeBash(out, words)
	case "zsh":
		writeZsh(out, words)
	case "fish":
		writeFish(out, words)
	}
}

// completable is a command with what may follow it.
type completable struct {
	name     string // empty: the program itself
	help     string
	flags    []*kong.Flag
	choices  []string // sub-commands, or the values of the first argument
	choiceOf []string // help of each choice
}

// completionWords lists the program and its commands.
func completionWords(root *kong.Node) []completable {
	program := completable{flags: root.Flags}
	words := []completable{program}
	for _, node := range root.Children {
		if node.Hidden {
			continue
		}
		word := completable{name: node.Name, help: node.Help, flags: append(visible(node.Flags), visible(root.Flags)...)}
		for _, child := range node.Children {
			word.choices = append(word.choices, child.Name)
			word.choiceOf = append(word.choiceOf, child.Help)
			word.flags = append(visible(child.Flags), word.flags...)
		}
		for _, argument := range node.Positional {
			if argument.Enum != "" {
				word.choices = append(word.choices, strings.Split(argument.Enum, ",")...)
			}
		}
		words[0].choices = append(words[0].choices, node.Name)
		words[0].choiceOf = append(words[0].choiceOf, node.Help)
		words = append(words, word)
	}
	return words
}

func visible(flags []*kong.Flag) []*kong.Flag {
	var shown []*kong.Flag
	for _, flag := range flags {
		if !flag.Hidden {
			shown = append(shown, flag)
		}
	}
	return shown
}

func writeBash(w io.Writer, words []completable) {
	fmt.Fprint(w, "_ringmaster() {\n\tlocal current=${COMP_WORDS[COMP_CWORD]} command= word\n"+
		"\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase $word in -*) ;; *) command=$word; break ;; esac\n\tdone\n"+
		"\tlocal flags= choices=\n\tcase $command in\n")
	for _, word := range words {
		var flags []string
		for _, flag := range word.flags {
			flags = append(flags, "--"+flag.Name)
		}
		fmt.Fprintf(w, "\t%s) flags=%s choices=%s ;;\n", shellWord(word.name), shellWord(strings.Join(flags, " ")), shellWord(strings.Join(word.choices, " ")))
	}
	fmt.Fprint(w, "\tesac\n\tcase $current in\n\t-*) COMPREPLY=($(compgen -W \"$flags\" -- \"$current\")) ;;\n"+
		"\t*) COMPREPLY=($(compgen -W \"$choices\" -- \"$current\")) ;;\n\tesac\n}\n"+
		"complete -o default -F _ringmaster ringmaster\n")
}

func writeZsh(w io.Writer, words []completable) {
	fmt.Fprint(w, "#compdef ringmaster\n_ringmaster() {\n\tlocal -a choices\n\tlocal command=\n"+
		"\tlocal word\n\tfor word in ${words[2,CURRENT-1]}; do\n\t\tcase $word in -*) ;; *) command=$word; break ;; esac\n\tdone\n\tcase $command in\n")
	for _, word := range words {
		fmt.Fprintf(w, "\t%s)\n\t\tif [[ $PREFIX == -* ]]; then\n\t\t\tchoices=(", shellWord(word.name))
		for _, flag := range word.flags {
			fmt.Fprintf(w, " %s", shellWord("--"+flag.Name+":"+strings.ReplaceAll(flag.Help, ":", `\:`)))
		}
		fmt.Fprint(w, " )\n\t\telse\n\t\t\tchoices=(")
		for i, choice := range word.choices {
			if i < len(word.choiceOf) {
				choice += ":" + strings.ReplaceAll(word.choiceOf[i], ":", `\:`)
			}
			fmt.Fprintf(w, " %s", shellWord(choice))
		}
		fmt.Fprint(w, " )\n\t\tfi ;;\n")
	}
	fmt.Fprint(w, "\tesac\n\tif (( $#choices )); then _describe ringmaster choices; else _files; fi\n}\n"+
		"if [[ $funcstack[1] == _ringmaster ]]; then _ringmaster \"$@\"; else compdef _ringmaster ringmaster; fi\n")
}

func writeFish(w io.Writer, words []completable) {
	for _, word := range words {
		condition := "__fish_use_subcommand"
		if word.name != "" {
			condition = "__fish_seen_subcommand_from " + word.name
		}
		for i, choice := range word.choices {
			help := ""
			if i < len(word.choiceOf) {
				help = word.choiceOf[i]
			}
			fmt.Fprintf(w, "complete -c ringmaster -f -n %s -a %s -d %s\n", shellWord(condition), shellWord(choice), shellWord(help))
		}
		for _, flag := range word.flags {
			argument := " -r"
			if flag.IsBool() || flag.Name == "help" || flag.Name == "version" {
				argument = ""
			}
			fmt.Fprintf(w, "complete -c ringmaster -n %s -l %s%s -d %s\n", shellWord(condition), shellWord(flag.Name), argument, shellWord(flag.Help))
		}
	}
}

// shellWord quotes a word for any of the three shells.
func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
