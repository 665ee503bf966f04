package call

// Words of the call model as they stand in CDRs, expressions and explanations.

var presentationWords = [...]string{"allowed", "restricted", "unavailable"}

// String returns the presentation's word: allowed, restricted or unavailable.
func (p Presentation) String() string { return word(presentationWords[:], int(p)) }

// MarshalText makes JSON show the word.
func (p Presentation) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

var statusWords = [...]string{"done", "digits", "timeout", "answer", "busy", "no_answer", "unreachable", "hangup", "failed"}

// String returns the status' word.
func (s Status) String() string { return word(statusWords[:], int(s)) }

// MarshalText makes JSON show the word.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseStatus is the opposite of Status.String.
func ParseStatus(text string) (Status, bool) {
	index, ok := wordIndex(statusWords[:], text)
	return Status(index), ok
}

// ParsePresentation is the opposite of Presentation.String.
func ParsePresentation(text string) (Presentation, bool) {
	index, ok := wordIndex(presentationWords[:], text)
	return Presentation(index), ok
}

var opWords = [...]string{"answer", "play", "collect", "connect", "continue", "release"}

// String returns the instruction's word.
func (o Op) String() string { return word(opWords[:], int(o)) }

// ParseOp is the opposite of Op.String.
func ParseOp(text string) (Op, bool) {
	index, ok := wordIndex(opWords[:], text)
	return Op(index), ok
}

func word(words []string, index int) string {
	if index < len(words) {
		return words[index]
	}
	return "unknown"
}

func wordIndex(words []string, text string) (int, bool) {
	for i, word := range words {
		if word == text {
			return i, true
		}
	}
	return 0, false
}
