package rpc

func helpText(m *method) string { return m.summary + "\n\n" + m.help }
