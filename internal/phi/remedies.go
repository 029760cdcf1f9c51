package phi

import "strings"

// remedy tells by its ending whether a word is a drug or a disease.
func (s *scanner) remedy(i int32) bool {
	if s.length(i) < 6 || s.has(i, given|family|english) {
		return false
	}
	word := s.string(i)
	var endings []string
	switch word[len(word)-1] {
	case 'a':
		endings = []string{"emia", "aemia", "oma", "uria", "algia", "penia", "plegia"}
	case 'b':
		endings = []string{"mab", "nib"}
	case 'e':
		endings = []string{"azole", "cycline", "prazole", "tidine", "dipine", "oxetine", "glutide", "caine", "thiazide", "semide", "sone", "olone"}
	case 'l':
		endings = []string{"pril", "olol", "terol", "taxel"}
	case 'm':
		endings = []string{"zepam", "zolam", "opram"}
	case 'n':
		endings = []string{"statin", "sartan", "cillin", "mycin", "micin", "gliptin", "gliflozin", "xaban", "gatran", "parin", "setron", "triptan", "floxacin", "profen", "oxacin", "formin", "zosin", "platin", "rubicin"}
	case 'r':
		endings = []string{"vir"}
	case 's':
		endings = []string{"itis", "osis"}
	case 't':
		endings = []string{"lukast", "ologist"}
	case 'y':
		endings = []string{"pathy", "ectomy", "plasty", "scopy", "ology", "trophy", "therapy"}
	}
	for _, end := range endings {
		if strings.HasSuffix(word, end) {
			return true
		}
	}
	return false
}
