package phi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/phi"
)

// cases are lines of a text and what it becomes, with an arrow between; an
// unchanged text has no arrow.
func masks(t *testing.T, cases string) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(cases)) {
		text, want, changes := strings.Cut(strings.TrimSpace(line), " => ")
		if !changes {
			want = text
		}
		var m phi.Masker
		masked, found := m.Mask(text)
		assert.Equal(t, want, masked)
		assert.Equal(t, changes, len(found) > 0, text)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	masks(t, `
Seen by Dr. Okafor and Mrs. L. Hernandez-Diaz. => Seen by Dr. [NAME_1] and Mrs. [NAME_2].
Mr. van der Berg met Prof Xiu Ying Zhang and dr kowalski => Mr. [NAME_1] met Prof [NAME_2] and dr [NAME_3]
A 61-year-old man, Arjun P., with gout => A 61-year-old man, [NAME_1], with gout
for patients like Ingrid Q. Solberg who smoke => for patients like [NAME_1] who smoke
Patient: Whitfield, Dorothy A.   Sex: F => Patient: [NAME_1]   Sex: F
Patient Name: JANE ROE, then SMITH, JOHN => Patient Name: [NAME_1], then [NAME_2]
Name: ROE, JANE => Name: [NAME_1]
Ms. D'Angelo and D'Angelo Russell; client Featherstone smokes => Ms. [NAME_1] and [NAME_1]; client [NAME_2] smokes
hi my name is jonathan smith, and this is sarah => hi my name is [NAME_1], and this is [NAME_2]
i am wanda, im svetlana. => i am [NAME_1], im [NAME_2].
i'm grace kowalski and my son tommy is ill => i'm [NAME_1] and my son [NAME_2] is ill
Hello, this is Grace. => Hello, this is [NAME_1].
thanks mark, bye => thanks [NAME_1], bye
Will Jones and Hope O'Neill and Rose M. came => [NAME_1] and [NAME_2] and [NAME_3] came
Mark was discharged, then Grace said no. => [NAME_1] was discharged, then [NAME_2] said no.
Ask Nurse Kelly O'Brien or J. R. Patterson => Ask Nurse [NAME_1] or [NAME_2]
Signed, Amara Nwosu, MD => Signed, [NAME_1], MD
a girl named Nevaeh and a boy called Tobias => a girl named [NAME_1] and a boy called [NAME_2]
Thomas has a fever; yesterday michael had one => [NAME_1] has a fever; yesterday [NAME_2] had one
Mr. Madrid and Ana Madrid => Mr. [NAME_1] and [NAME_1]
Dr. Wilson thinks of Wilson's disease; Wilson will call => Dr. [NAME_1] thinks of Wilson's disease; [NAME_1] will call
José and Zoë Müller => [NAME_1] and [NAME_2]
Kathleen Byrne fell. Byrne was alone. => [NAME_1] fell. [NAME_1] was alone.
Dear Hiroshi, your father Kenji called => Dear [NAME_1], your father [NAME_2] called
his daughter Ifeoma, the interpreter Farzaneh Golshiri and her stepson Qxaro => his daughter [NAME_1], the interpreter [NAME_2] and her stepson [NAME_3]
I told Amber that Crystal knows; please ask Qxaro or Obinna Eze => I told [NAME_1] that [NAME_2] knows; please ask [NAME_3] or [NAME_4]
Joy cried. Tuğba is pregnant. Qxaro declined. Sione Tupou has gout. => [NAME_1] cried. [NAME_2] is pregnant. [NAME_3] declined. [NAME_4] has gout.
Kyung-soo Bae met Abd al-Rahman ibn Yusuf and Hyacinth Bucket-Jones => [NAME_1] met [NAME_2] and [NAME_3]
Ludwig van Houten III and Herrn Özdemir; MD Oduya => [NAME_1] and Herrn [NAME_2]; MD [NAME_3]
| Tendai Moyo | F | => | [NAME_1] | F |
patient lamar jennings mrn 4418820 => patient [NAME_1] mrn [MEDICAL_RECORD_1]
-- Ottoline => -- [NAME_1]
With Esposito; according to Vasquez; Dumitrescu is in; Hannelore fell; PER NURSE, ATTN SUZETTE => With [NAME_1]; according to [NAME_2]; [NAME_3] is in; [NAME_4] fell; PER NURSE, ATTN [NAME_5]
my sister in law debbie; its tyrone; emily and josh; with Pradeep (son) => my sister in law [NAME_1]; its [NAME_2]; [NAME_3] and [NAME_4]; with [NAME_5] (son)
Ask for Chance; came with Baraka; Siddharth and his wife left; NAME ROE, JANE => Ask for [NAME_1]; came with [NAME_2]; [NAME_3] and his wife left; NAME [NAME_4]
Provider: Haldor Mikkelsen, Lord Ashdown said no; Dra. Quiroga => Provider: [NAME_1], Lord [NAME_2] said no; Dra. [NAME_3]
I am Qxaro; she's a Qxaro fan, I am Brazilian => I am [NAME_1]; she's a [NAME_1] fan, I am Brazilian
`)
}

func TestWordsThatAreNoNames(t *testing.T) {
	t.Parallel()
	masks(t, `
Parkinson's disease, Crohn disease, Hodgkin lymphoma, a Foley catheter, Addison's, Graves disease, Wilson's disease
Down syndrome, Apgar 9, Glasgow Coma Scale 15, Marfan syndrome, Hashimoto's thyroiditis, Bell's palsy, Lou Gehrig's disease
positive Murphy's sign and Romberg, Wells score of 3, Framingham Risk Score, Thomas test, Bruce protocol, Allen's test
Stevens-Johnson syndrome, Wolff-Parkinson-White, Guillain-Barré, Charcot-Marie-Tooth, Ehlers-Danlos
may i march on? i hope you will mark the rose; grace period; drew blood; bill me; pat dry; sue them; jack up
May I ask? Will you call? Mark my words. Hope this helps. Grace period. Rose hip tea. Don't worry.
Type A influenza, Vitamin D. Hepatitis B. Factor V, Group A Strep, E. coli, C. difficile, H. pylori, S. aureus
Is Yasmin safe with Allegra? I take Ambien, Lexapro, Metoprolol Tartrate 25 mg and Novolog.
Past Medical History: Coronary Artery Disease, Benign Prostatic Hyperplasia, Major Depressive Disorder
Call your Primary Care Provider or the Emergency Department. Ask the Pharmacist.
Bill me for it; Pat dry. Mark the site. Rose hip, the Hunter criteria
a drug called Xarelto, a procedure named Whipple, the brand name is Humalog
`)
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	masks(t, `
Treated at Maple Grove Clinic and St. Agnes Medical Center => Treated at [LOCATION_1] and [LOCATION_2]
operated at St. Agnes's, then moved to Mount Carmel Health => operated at [LOCATION_1], then moved to [LOCATION_2]
reviewed at Southern, a call to his wife at St. Anne's => reviewed at [LOCATION_1], a call to his wife at [LOCATION_2]
seen at UCSD on warfarin; seen @ Lakeview => seen at [LOCATION_1] on warfarin; seen @ [LOCATION_2]
admitted to Geisinger, discharged from Sisters of Mercy Hospital => admitted to [LOCATION_1], discharged from [LOCATION_2]
lives in Albuquerque, NM and works in Twin Forks, MT => lives in [LOCATION_1] and works in [LOCATION_2]
our Tucson clinic, the Omaha office, the greater Reno area => our [LOCATION_1], the [LOCATION_2], the greater [LOCATION_3] area
12 Elm Street, Apt 4B, Springfield, IL 62704-1234 => [LOCATION_1]
i live at 44 oak street in portland => i live at [LOCATION_1] in [LOCATION_2]
221b Baker Street, NW1 6XE; P.O. Box 1234 => [LOCATION_1]; [LOCATION_2]
zip code: 94110-1234, postcode cb21tn, Ottawa K1A 0B1 => zip code: [LOCATION_1], postcode [LOCATION_2], [LOCATION_3]
seen at st mary's hospital in leeds; VNA of Madrid => seen at [LOCATION_1] in [LOCATION_2]; VNA of [LOCATION_3]
the Texas Heart Hospital, Florida Medical Center => the [LOCATION_1], [LOCATION_2]
near Cook County Hospital in Orange County => near [LOCATION_1] in [LOCATION_2]
Flat 3, 88 Harehills Lane, Leeds LS8 5DP; 14/2 MG Road, Pune 411001 => [LOCATION_1]; [LOCATION_2]
Keizersgracht 401, 1016 EK Amsterdam; Lindenstraße 14a, 50674 Köln; 12 rue des Lilas => [LOCATION_1]; [LOCATION_2]; [LOCATION_3]
Calle Mayor 5, 28013 Madrid; CEP 01310-100; 9 Wattle Grove, Toowoomba QLD 4350 => [LOCATION_1]; CEP [LOCATION_2]; [LOCATION_3]
was at mercy hospital, at the pain clinic, to outpatient clinic => was at [LOCATION_1], at the pain clinic, to outpatient clinic
on Euclid Avenue and 5th Street; lives in Qxaro; Kalamazoo County; Royal Free Hospital => on [LOCATION_1] and [LOCATION_2]; lives in [LOCATION_3]; [LOCATION_4]; [LOCATION_5]
Hauptstr. 7a, 80331 Munich; Via Garibaldi 12, 20121 Milan; 88 Queen Street East => [LOCATION_1]; [LOCATION_2]; [LOCATION_3]
Taken to Mount Auburn; wants it sent to tampa; Oakmont Skilled Nursing Facility => Taken to [LOCATION_1]; wants it sent to [LOCATION_2]; [LOCATION_3]
Hôpital Saint-Louis, All Saints Infirmary, Tulsa, Oklahoma 74103 => [LOCATION_1], [LOCATION_2], [LOCATION_3]
from New York City and Los Angeles and são paulo => from [LOCATION_1] and [LOCATION_2] and [LOCATION_3]
`)
}

func TestWordsThatAreNoPlaces(t *testing.T) {
	t.Parallel()
	masks(t, `
In Spring we plan; BCBS, ID# none; the Mayo study; ABA rules
In the United States, Canada, Texas, New York State, New Mexico and South Asia
seen at Baseline and at Discharge; look at Appendix A; at Stage IV
seen at the clinic, in the ED, at triage; admitted to ICU; went to the Emergency Department
Boston criteria, Ottawa ankle rules, Chicago classification, Milwaukee brace, Toronto Clinical Scoring System
guidelines from the Cleveland Clinic, according to Johns Hopkins, a recent Mayo Clinic study
National Institutes of Health, World Health Organization, American College of Cardiology, Department of Health
born in XQ1 1BB, about 12345 steps, 67890 cells, room 204, B12 5MG, T2N0M0, CD45RA
`)
}

func TestDates(t *testing.T) {
	t.Parallel()
	masks(t, `
born 3/14/1956, seen 14.02.2023, 2023-02-14, 2/14/23 and 20230214 => born [DATE_1], seen [DATE_2], [DATE_3], [DATE_4] and [DATE_3]
May 30th, 2022; Feb 2nd 2021; Aug 10, '23; Sept. 5; 12th April 2022 => [DATE_1]; [DATE_2]; [DATE_3]; [DATE_4]; [DATE_5]
15th of January 2022; 17-Feb-2023; April 2023; 03/2021; since March => [DATE_1]; [DATE_2]; [DATE_3]; [DATE_4]; since [DATE_5]
March 3-10, 2023 and 3-10 March 2023 and the 5th of may => [DATE_1] and [DATE_2] and the [DATE_3]
last Friday, on Monday, next july, Tuesday, April 4, mid-March, end of June => [DATE_1], on [DATE_2], [DATE_3], [DATE_4], mid-[DATE_5], end of [DATE_6]
seen on 08/22, admitted 4/12, on the 15th. => seen on [DATE_1], admitted [DATE_2], on the [DATE_3].
Valid 01.02.2025–31.01.2026; Thursday, May 22nd, 2025; Mon 14 Apr => Valid [DATE_1]–[DATE_2]; [DATE_3]; [DATE_4]
from 6/12 to 6/19; expires 2026-08; le 5 mai 2025; 5 de mayo de 2025; in may 2023 => from [DATE_1] to [DATE_2]; expires [DATE_3]; le [DATE_4]; [DATE_5]; in [DATE_6]
DOB : 1 1 / 0 4 / 1 9 5 2, dob 2 14 1956, discharge date 010924 => DOB : [DATE_1], dob [DATE_2], discharge date [DATE_3]
called 5/12, labs 9/6 and rescheduled for 3/4; from Mon 3/3 to Fri 3/7 => called [DATE_1], labs [DATE_2] and rescheduled for [DATE_3]; from [DATE_4] to [DATE_5]
course (4/11-4/15): stable. 6/6: rash. Le 1er février 2025. => course ([DATE_1]-[DATE_2]): stable. [DATE_3]: rash. Le [DATE_4].
On 2023-02-14T10:22:33Z it began => On [DATE_1]T10:22:33Z it began
`)
}

func TestNumbersThatAreNoDates(t *testing.T) {
	t.Parallel()
	masks(t, `
BP 120/80 mmHg, 12/80 mmHg, took 1/2 tablet, pain 5/10, strength 4/5, 20/20 vision, 5/325 mg, C5/C6, L4-L5
in 2021, the 1990s, 2019-2021, 2020/21, 24/7, 50/50, for 3 weeks, 3-4 times, 10-14 days, every 6-8 hours
last year, last month, two years ago, in the summer of 2022, open Monday to Friday, on Sundays, at 10:30
may 5 mg be enough? on 1/2 tablet since 3/4 of a year, score 12/20, 3/4 questions, sizes 10/12, in 3/17 nodes, 2/3-3/4 cup, exp 12/26, 12/31/1850 in march i march on; sun exposure; sat down; version 1.2.3, 1.2.3.4.5, section 3.4.12
`)
}

func TestAges(t *testing.T) {
	t.Parallel()
	masks(t, `
a 95-year-old, 90 yo F, aged 101, she turned 93, 92 y/o, 99 years old => a [AGE_1]-year-old, [AGE_2] yo F, aged [AGE_3], she turned [AGE_4], [AGE_5] y/o, [AGE_6] years old
she died at 97; she is 92 and lives alone; 94F; a man, 102 yrs, => she died at [AGE_1]; she is [AGE_2] and lives alone; [AGE_3]F; a man, [AGE_4] yrs,
a ninety-two-year-old, aged ninety => a [AGE_1]-year-old, aged [AGE_2]
ninety days, ninety-two patients
an 89-year-old, 45 yo, aged 60-75, ages 18 to 89, over 65, 95 percent, 92% on air, 99 bpm, 100 patients, 90 years ago
`)
}

func TestNumbersOfPeople(t *testing.T) {
	t.Parallel()
	masks(t, `
Call (415) 555-2671 or +44 20 7946 0958 or +1 (415) 555-2672 ext. 44 => Call [PHONE_1] or [PHONE_2] or [PHONE_3]
it was 555-0100 then => it was [PHONE_1] then
Mother (617-555-0134) => Mother ([PHONE_1])
call me on 555 0100, 07700 900123, 01 23 45 67 89, 415.555.2671 => call me on [PHONE_1], [PHONE_2], [PHONE_3], [PHONE_4]
fax: 415-555-2672, phone 4155552671, contact: 123-456-7890 => fax: [FAX_1], phone [PHONE_1], contact: [PHONE_2]
SSN 123-45-6789, ssn: 078051120, last four of SSN 4321 => SSN [SSN_1], ssn: [SSN_2], last four of SSN [SSN_3]
212-45-6789 is valid and 912-45-6789 is none => [SSN_1] is valid and [ID_1] is none
MRN: 12345, MRN#00123456, (MRN 12345-JS), medical record P1234567, chart number 5512 => MRN: [MEDICAL_RECORD_1], MRN[MEDICAL_RECORD_2], (MRN [MEDICAL_RECORD_3]), medical record [MEDICAL_RECORD_4], chart number [MEDICAL_RECORD_5]
insurance ID 789456123, policy #R-98765, member number ABC123456, HMO ID is 5678-2345 => insurance ID [HEALTH_PLAN_1], policy [HEALTH_PLAN_2], member number [HEALTH_PLAN_3], HMO ID is [HEALTH_PLAN_4]
account number 000123456789, card 4111 1111 1111 1111 exp 12/26 => account number [ACCOUNT_1], card [ACCOUNT_2] exp 12/26
IBAN DE89 3704 0044 0532 0130 00 or GB82WEST12345698765432 => IBAN [ACCOUNT_1] or [ACCOUNT_2]
license number D1234567, DEA AB1234563, passport X1234567 => license number [LICENSE_1], DEA [LICENSE_2], passport [LICENSE_3]
VIN 1HGCM82633A004352 or 1M8GDM9AXKP042788 and 11111111111111111, plate ABC-1234 => VIN [VEHICLE_1] or [VEHICLE_2] and [VEHICLE_3], plate [VEHICLE_4]
serial number SN-44821-XK, IMEI 490154203237518, mac 00:1B:44:11:3A:B7 => serial number [DEVICE_1], IMEI [DEVICE_2], mac [DEVICE_3]
CPF 529.982.247-25, NI QQ 12 34 56 C, AB123456C, 2 69 05 49 588 157 80 => CPF [SSN_1], NI [SSN_2], [SSN_3], [SSN_4]
S S N : 5 2 4 - 7 1 - 0 0 9 2, tel: 0 1 6 1 4 9 6 0 1 2 3 => S S N : [SSN_1], tel: [PHONE_1]
fax the ECG to 503-555-0199; 0044 20 7946 0999; (11) 98765-4321 => fax the ECG to [FAX_1]; [PHONE_1]; [PHONE_2]
registration KX19 ZPT, Medicare card 2123 45670 1, permit 20931, 5582913 => registration [VEHICLE_1], Medicare card [HEALTH_PLAN_1], permit [LICENSE_1], [ID_1]
plate no. B-MW 4471, tag 4GHT22, MR# 339120, SSN ending in 1120, account ending in 7781 => plate no. [VEHICLE_1], tag [VEHICLE_2], MR[MEDICAL_RECORD_1], SSN ending in [SSN_1], account ending in [ACCOUNT_1]
booking ref LK8J2P, user id jrowe44, trial subject 114-0092 => booking ref [ID_1], user id [ID_2], trial subject [ID_3]
case no. 55-1234, ref. code: EM-2554, patient ID #AB-987654, reference number X1ZSIHLS => case no. [ID_1], ref. code: [ID_2], patient ID [ID_3], reference number [ID_4]
550e8400-e29b-41d4-a716-446655440000 and RV123456 and #991823 => [ID_1] and [ID_2] and [ID_3]
`)
}

func TestNumbersOfThings(t *testing.T) {
	t.Parallel()
	masks(t, `
Take 500 mg for 10 days; platelets 250000, WBC 11000, creatinine 1.2, 1,000,000 units, $1,234,567, 100000 IU
JNC 8, CHA2DS2-VASc, ICD-10 code E11.9, NCT01234567, COVID-19, HbA1c 7.5%, HLA-B27, ISO 9001, PHQ-9 of 18, T1-weighted
NDC 0002-8215-01, PMID 12345678, ISBN 978-3-16-148410-0
call 911 or 988, error code 404, page 10, order 66, room 12B, extension 5, lot size 3, in case 2 of 3
version 1.2.3.4, ratio 4:1, p < 0.001, 95% CI 1.2-3.4, n=1500, 10:30:45, a::b, std::string, 300.1.1.1
insurance since 2021, records from 1999, her plan for 2024, the device of 2020, account for 50 percent
4111 1111 1111 1112 has 16
scale 1 2 3 4 5 6 7 8 9, 529.982.247-26 x, 2500000 platelets, total 1234567 steps, code SAVE10, firmware 8.1.0.22
`)
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	masks(t, `
j.doe+x@mail.example.co.uk, JDOE@HOSPITAL.ORG. (o'neil_99@st-marys.org) => [EMAIL_1], [EMAIL_2]. ([EMAIL_3])
john at example dot com; mary (at) gmail (dot) com; jane.doe[at]example.com; s.roe @ example.org => [EMAIL_1]; [EMAIL_2]; [EMAIL_3]; [EMAIL_4]
https://portal.example.org/p/12345678?x=1, www.example.com. Also example.com/path! => [URL_1], [URL_2]. Also [URL_3]!
10.0.0.12, 192.168.0.44:8080, 2001:db8::1, fe80::1: down => [IP_1], [IP_2]:8080, [IP_3], [IP_4]: down
5mg@bedtime, @mention, e.g. this, i.e.that, patient.In the, a.m. and p.m.
`)
}

func TestNoRuleLooksAcrossABlankLine(t *testing.T) {
	t.Parallel()
	for gap, want := range map[string]string{
		"\n":       "policy number:\n[HEALTH_PLAN_1]. my name is\n[NAME_1]",
		" \n":      "policy number: \n[HEALTH_PLAN_1]. my name is \n[NAME_1]",
		"\n\n":     "policy number:\n\n98765. my name is\n\nmarguerite",
		"\r\n\r\n": "policy number:\r\n\r\n98765. my name is\r\n\r\nmarguerite",
	} {
		masked, _ := new(phi.Masker).Mask("policy number:" + gap + "98765. my name is" + gap + "marguerite")
		require.Equal(t, want, masked)
	}
}

func TestOffsetsAreCodePoints(t *testing.T) {
	t.Parallel()
	text := "\xff Für Zoë 🙂: zoë@example.com, 🙂 2023-02-14\xf0"
	runes := []rune(text)
	var values []string
	for _, f := range phi.Find(text) {
		values = append(values, string(f.Type)+" "+string(runes[f.Start:f.End]))
	}
	require.Equal(t, []string{"NAME Zoë", "EMAIL zoë@example.com", "DATE 2023-02-14"}, values)
}

func TestFindAndMaskAgree(t *testing.T) {
	t.Parallel()
	text := "Dr. Roe saw Jane Doe in Tulsa on 2/14/2023."
	var m phi.Masker
	_, found := m.Mask(text)
	require.Len(t, found, 4)
	require.Equal(t, found, phi.Find(text))
	require.Nil(t, phi.Find("nothing to see"))
}

func TestTypesAreAllTypes(t *testing.T) {
	t.Parallel()
	types := phi.Types()
	require.Len(t, types, 17)
	slices.Sort(types)
	require.Len(t, slices.Compact(types), 17)
	require.Subset(t, types, []phi.Type{
		phi.Name, phi.Location, phi.Date, phi.Age, phi.Phone, phi.Fax, phi.Email, phi.SSN, phi.MedicalRecord,
		phi.HealthPlan, phi.Account, phi.License, phi.Vehicle, phi.Device, phi.URL, phi.IP, phi.ID,
	})
}
