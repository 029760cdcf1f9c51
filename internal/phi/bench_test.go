package phi_test

import (
	"strings"
	"testing"

	"millrace/internal/phi"
)

// note is a text as people write it: a finding for every 25 words or so.
const note = `Follow-up visit for Dorothy Whitfield, a 67-year-old woman with hypertension and type 2 diabetes, seen at Maple
Grove Clinic on March 12th, 2023. She reports that the swelling of her ankles has become less since the dose of amlodipine
was lowered to 5 mg daily. No chest pain, no shortness of breath, no dizziness. Blood pressure today 128/76 mmHg, heart rate
72, weight 81 kg. Laboratory results: creatinine 1.1 mg/dL, potassium 4.2 mmol/L, HbA1c 7.1 %. Lungs are clear, there are no
murmurs, and the abdomen is soft. We talked about walking for thirty minutes on most days of the week and about eating less
salt. She asks whether she may take ibuprofen for her knee; I advised against it because of her kidneys and suggested
paracetamol instead. Continue metformin 500 mg twice a day and atorvastatin 20 mg at night. She will come back in three
months with a new blood count, or call 415-555-2671 earlier if the swelling returns. Dr. Okafor.
`

func BenchmarkMask(b *testing.B) {
	plain := strings.ToLower(strings.NewReplacer("Dorothy Whitfield", "the patient", "March 12th, 2023", "a visit", "415-555-2671", "us").Replace(note))
	for name, text := range map[string]string{
		"notes":       strings.Repeat(note+"\n", 100),
		"plain":       strings.Repeat(plain+"\n", 100),
		"identifiers": strings.Repeat("Dr. Roe, MRN 1234567, 415-555-2671, 2/14/2023, j.roe@example.com\n\n", 1000),
		"hyphens":     strings.Repeat("1-", 50_000),
		"capitals":    strings.Repeat("Of A ", 20_000),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				var m phi.Masker
				m.Mask(text)
			}
		})
	}
}

// A message of a chat, one at a time.
func BenchmarkMessage(b *testing.B) {
	const text = "hi my name is jonathan smith and i have a question about my insulin, can you call me on 415-555-2671?"
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var m phi.Masker
	for b.Loop() {
		m.Mask(text)
	}
}
