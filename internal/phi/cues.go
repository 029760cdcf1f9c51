package phi

// cueList gives flags to words, or to phrases of which one is on each line.
type cueList struct {
	flags   flags
	words   string
	phrases bool
	head    flags // of the first words of phrases
}

// cues returns the words that are known beside the embedded lists. They were
// written for this package.
func cues() []cueList {
	return append(append(numberCues(), personCues()...), placeCues()...)
}

// numberCues tell what a number or a date is.
func numberCues() []cueList {
	return []cueList{
		{flags: flags(cueRecord), words: "mrn emr ehr medrec nhs chi"},
		{flags: flags(cueRecord) | weak, words: "hospital"},
		{flags: flags(cueRecord) | weak, words: "record records chart charts rec"},
		{flags: flags(cuePlan), words: "hmo ppo medicare medicaid hicn mbi hpn beneficiary ohip kvnr versichertennummer versichertennr krankenkasse"},
		{flags: flags(cuePlan) | weak, words: "insurance insurer ins policy plan member subscriber coverage payer membership group grp health"},
		{flags: flags(cueAccount), words: "acct iban routing"},
		{flags: flags(cueAccount) | weak, words: "account card invoice billing bank sort statement konto kontonummer compte"},
		{flags: flags(cueLicense), words: "dea npi passport"},
		{flags: flags(cueLicense) | weak, words: "license licence lic certificate cert dl permit registration"},
		{flags: flags(cueVehicle), words: "vin"},
		{flags: flags(cuePlate), words: "plate plates tag"},
		{flags: flags(cueVehicle) | weak, words: "vehicle reg"},
		{flags: flags(cueDevice), words: "imei udi sn"},
		{flags: flags(cueDevice) | weak, words: "serial device pacemaker implant lot"},
		{flags: flags(cueIdent), words: "id ids identifier uid uuid guid fin csn username userid login"},
		{flags: flags(cueIdent) | weak, words: "ref reference code case claim confirmation encounter accession specimen ticket order study patient pt employee student visit file site token session subject participant booking tracking badge"},
		{flags: flags(cueSSN), words: "ssn ssns itin ein nino cpf bsn dni nie nif pesel personnummer aadhaar aadhar curp tfn ppsn ahv rrn codice fiscale sécurité"},
		{flags: flags(cueSSN) | weak, words: "social sin ni national"},
		{flags: flags(cuePhone), words: "phone phones tel telephone mobile whatsapp pager voicemail landline téléphone telefon telefono teléfono telefone tél handy móvil celular mobil portable ph"},
		{flags: flags(cuePhone) | weak, words: "call calls cell contact contacts reach text sms ring dial callback"},
		{flags: flags(cueFax), words: "fax faxed facsimile telefax fx"},
		{flags: flags(cuePublic), words: "ndc isbn issn doi pmid upc version"},
		{flags: ninety, words: "ninety"},
		{flags: flags(cueZIP), words: "zip zipcode postcode postal cep plz pincode"},
		{flags: flags(cueFiller), words: "number numbers num no nr nbr"},
		{flags: flags(cueOf), words: "is of was as the a at on my me us her his their security in ending ends with last four digits"},
		{flags: month, words: "january february march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec"},
		{flags: weekday, words: "monday tuesday wednesday thursday friday saturday sunday"},
		{flags: weekdayAbb, words: "mon tue tues wed thu thur thurs fri sat sun"},
		{flags: foreign, words: foreignMonths},
		{flags: dated, words: "dos lmp edd expires expired expiry expiration issued valid effective due onset signed geburtsdatum geboren geb né née nato nata nascimento nasceu nacimiento am le il el em"},
		{flags: dated, words: "on since dated date dob until till by birthday born starting started scheduled from before after admitted discharged seen visit visited appointment"},
		{flags: unit, words: units},
		{flags: ageUnit, words: "yo yom yof yr yrs year years y"},
		{flags: domain, words: "com org net edu gov mil int info biz io co uk us ca au de fr es it nl ch at be se no dk fi pl eu health me app dev ai"},
		{flags: scheme, words: "http https ftp ftps sftp www"},
	}
}

// conditions follow the names of those who described them.
const conditions = `disease diseases syndrome syndromes sign signs reflex reflexes score scores scale scales criteria criterion
index test tests classification disorder disorders lymphoma sarcoma tumor tumour palsy chorea esophagus
oesophagus oesophagitis phenomenon thyroiditis contracture catheter method maneuver manoeuvre procedure
technique trial trials study rule rules guideline guidelines consensus questionnaire inventory staging stage
grade nodes stain factor tube clamp retractor forceps law equation formula triad murmur gait respirations
breathing ulcer nodules nodule aneurysm plexus ganglion ligament tendon fascia gland duct canal nerve nucleus
chromosome mutation protein antigen antibody antibodies receptor lactate model theory plot curve diagram
hypothesis conjecture paradox protocol dysplasia degeneration atrophy ataxia encephalopathy purpura vasculitis
granulomatosis cardiomyopathy nephropathy neuropathy deformity declaration dystrophy tetralogy drain tear pupil
assessment cognitive scoring exam data researchers experts virus flu fever brace definition measles sprouts splint splints pin pins complex apple incision lesion lesions wire bandage proceedings journal declarations wort
lace oil tea extract initiative gastritis ring rings anomaly malformation status`

// functionWords are never part of a name, but for will and may.
const functionWords = `the a an and or but nor so yet for with without to of in on at by from as into onto over under about after
before during since until till while if then than that this these those which who whom whose what when where why
how is are was were be been being am do does did done has have had having can could should would may might must
shall will not no yes i you he she it we they me him her us them my your his its our their mine yours hers ours
theirs there here also just only very too because due per via vs versus using again all any some each every both
either neither more most less least many much few own same other another such still already always never`

// chatWords are no names in lower case, and no places behind "at".
const chatWords = `baseline discharge admission follow bedside triage presentation midnight noon night home work screening enrollment
randomization diagnosis onset term birth rest least first last dawn lunch dinner breakfast bedtime christmas easter spring summer autumn fall winter please thank thanks ok okay sorry well now today tomorrow yesterday given get got im ive dont cant need needs
want wants help feel feeling feels like said says say tell told go going went come came take taking taken let's
lets see ask asked asking not really doing trying hoping having calling writing looking worried sick tired happy
sad glad sure fine good bad back new able ready allergic pregnant`

// units of measure and of time.
const units = `mg mcg ug g gm gram grams kg ml dl l mmhg mmol meq mol iu unit units tablet tablets tab tabs pill pills cap caps
capsule capsules puff puffs drop drops dose doses hour hours hr hrs h day days week weeks wk wks month months mo
year years yr yrs minute minutes min mins second seconds percent pct bpm cm mm m ft lb lbs kcal cal times x cc
mcl k cells patients people participants subjects copies ng pg nmol psi hz msec ms pack packs cups glasses oz
dollars usd euros`

// visits are words of a sentence that tells where somebody was.
const visits = `seen treated admitted evaluated visited visiting diagnosed reviewed operated assessed presented presenting
managed discharged performed hospitalized hospitalised consulted referred underwent born works worked working
lives living resides residing resident attended attending followed transferred examined checked hospitalization
appointment scheduled surgery records report reports biopsy admission visit visits procedure chemo chemotherapy
check-up checkup done moved staying stayed volunteers employed meeting case consult consultation follow-up stay
delivered scanned tested enrolled`

// acronyms in capitals that are no places behind "at".
const acronyms = `er ed icu ccu nicu picu micu sicu or pacu iv im po prn bid tid qid qhs hs ac pc am pm
ekg ecg eeg emg mri ct cta pet us cxr mra echo tte tee ef lvef bmi bp hr rr map cvp inr ptt pt aptt
cbc cmp bmp lft lfts tsh psa crp esr bnp ldl hdl wbc rbc hgb hct plt bun cr egfr gfr ast alt alp ldh
hiv aids hcv hbv hpv hsv ebv cmv tb copd chf cad ckd esrd dm htn gerd ibs ibd uti uris uri dvt pe tia cva mi
afib sle ra ms als adhd ocd ptsd bpd gad mdd dka hhs ards sirs ards aki
nyha aha acc ada jnc cdc fda nih who nice acog aap uspstf nccn asco esc easl aasld idsa gina gold acr eular
dnr cpr dob mrn ssn ama asap faq usa uk eu usa pcp np pa md rn do dds phd`

// medicalWords are words that a list of English for everyone leaves out, or that
// are names elsewhere. Names of drugs are known by their endings, too.
const medicalWords = `aspirin ibuprofen acetaminophen paracetamol tylenol advil motrin aleve warfarin coumadin heparin eliquis
xarelto plavix lipitor crestor zocor metformin insulin lantus humalog ozempic trulicity jardiance farxiga januvia
synthroid levothyroxine prednisone prednisolone dexamethasone albuterol spiriva symbicort advair ventolin singular
lasix furosemide spironolactone digoxin amiodarone lithium prozac zoloft lexapro celexa paxil wellbutrin cymbalta
effexor seroquel abilify zyprexa risperdal xanax ativan valium klonopin ambien adderall ritalin concerta vyvanse
gabapentin neurontin lyrica tramadol oxycodone hydrocodone morphine fentanyl suboxone naloxone narcan methadone
amoxicillin augmentin penicillin azithromycin zithromax doxycycline cipro bactrim keflex vancomycin clindamycin
nexium prilosec zantac pepcid protonix humira enbrel remicade keytruda opdivo herceptin avastin rituxan tamoxifen
allegra claritin zyrtec benadryl flonase yasmin ella mirena kyleena skyla nexplanon botox viagra cialis
covid influenza hepatitis diabetes asthma pneumonia sepsis cancer carcinoma leukemia melanoma lymphoma angina
hypertension hyperlipidemia atrial fibrillation myocardial infarction ischemia stenosis embolism thrombosis
staphylococcus streptococcus klebsiella pseudomonas salmonella listeria candida aspergillus coli aureus pylori difficile
vitamin type stage grade class group factor phase level score part section table figure appendix question option team
inc ltd llc corp christ easter african american asian caucasian hispanic asberg latino latina european indian chinese japanese mexican arabic jewish muslim christian
catholic english spanish french german italian russian korean vietnamese polish portuguese british irish scottish
engl alzheimer diabetic hypertensive medicare medicaid internet google apple android iphone zoom facebook instagram whatsapp amazon
temp fx ramadan diwali uber tinder netflix linkedin microsoft excel word windows mychart epic cerner fitbit
cardiology oncology neurology nephrology urology gastroenterology endocrinology dermatology hematology rheumatology
pulmonology psychiatry psychology radiology pathology anesthesiology ophthalmology gynecology obstetrics pediatric
orthopedic surgical emergency department inpatient outpatient ambulatory unit doctor nurse physician patient`

// foreignMonths are those of German, French, Spanish, Portuguese, Italian and Dutch
// that differ from the English ones.
const foreignMonths = `januar februar märz mai juni juli oktober dezember janvier février fevrier mars avril juin juillet août aout septembre
octobre novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre
janeiro fevereiro março maio junho julho setembro outubro novembro dezembro gennaio febbraio aprile maggio giugno luglio settembre
ottobre dicembre januari februari maart mei augustus`
