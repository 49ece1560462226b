//! Faults that show among rows, or in their tools, planted into real rows at known lines.

use std::collections::BTreeSet;

use serde_json::{json, Value};
use tunewise_data::quality::near::near_duplicates;
use tunewise_data::quality::{Code, Severity};

use crate::chat;
use crate::planted::{
    answer, ask, asked, call, found, read, shared, strings, tell, turns, Row, LEAST, PLANTED, ROWS,
};

const ONE_REPLY: &str =
    "Thank you for your message, one of our agents will answer you within two working days.";
/// Replies in German, French, Spanish and Dutch.
const FOREIGN: [&str; PLANTED] = [
    "Vielen Dank für Ihre Nachricht. Wir haben Ihre Buchung geändert und Ihnen die neuen Reisedaten per E-Mail geschickt.",
    "Das Frühstück wird zwischen sieben und zehn Uhr im Speisesaal serviert und ist im Preis Ihres Zimmers bereits enthalten.",
    "Leider ist das Hotel in der gewünschten Woche ausgebucht, aber wir können Ihnen gern ein anderes Haus in der Nähe anbieten.",
    "Der Zug fährt jede halbe Stunde vom Hauptbahnhof ab, und die Fahrt in die Innenstadt dauert ungefähr eine Viertelstunde.",
    "Bitte bringen Sie zur Anmeldung einen gültigen Ausweis mit, damit wir Ihnen den Schlüssel für das Zimmer geben können.",
    "Merci pour votre message. Nous avons modifié votre réservation et vous recevrez bientôt une confirmation par courriel.",
    "Le petit déjeuner est servi entre sept et dix heures dans la grande salle, et il est déjà compris dans le prix de la chambre.",
    "Malheureusement, l'hôtel est complet pendant cette semaine, mais nous pouvons vous proposer une autre adresse dans le quartier.",
    "Le train part toutes les demi-heures de la gare centrale, et le trajet jusqu'au centre de la ville dure un quart d'heure.",
    "Veuillez présenter une pièce d'identité à votre arrivée afin que nous puissions vous remettre la clé de votre chambre.",
    "Muchas gracias por su mensaje. Hemos cambiado su reserva y le enviaremos la confirmación por correo electrónico esta tarde.",
    "El desayuno se sirve entre las siete y las diez en el comedor de la planta baja, y ya está incluido en el precio de la habitación.",
    "Lamentablemente el hotel está completo durante esa semana, pero podemos ofrecerle otro alojamiento muy cerca de la playa.",
    "El tren sale cada media hora de la estación central, y el viaje hasta el centro de la ciudad dura unos quince minutos.",
    "Por favor, traiga un documento de identidad cuando llegue, para que podamos entregarle la llave de su habitación.",
    "Hartelijk dank voor uw bericht. We hebben uw boeking gewijzigd en sturen u vanmiddag een bevestiging van de nieuwe datum.",
    "Het ontbijt wordt tussen zeven en tien uur in de eetzaal geserveerd en is al bij de prijs van uw kamer inbegrepen.",
    "Helaas is het hotel in die week helemaal volgeboekt, maar we kunnen u graag een ander adres in de buurt aanbieden.",
    "De trein vertrekt elk half uur vanaf het centraal station, en de reis naar het midden van de stad duurt een kwartier.",
    "Neemt u bij aankomst alstublieft een geldig legitimatiebewijs mee, zodat wij u de sleutel van de kamer kunnen geven.",
];

/// Rows with faults in them, and which are where.
struct Plant {
    train: Vec<Value>,
    test: Vec<Value>,
    planted: Vec<Row>,
}

impl Plant {
    /// Real rows without a fault; `None` without the material beside the project.
    fn of(set: &str, rows: usize) -> Option<Plant> {
        let (train, test) = (shared(set, "train")?, shared(set, "test")?);
        Some(Plant { train: read(&train, rows), test: read(&test, ROWS.1), planted: Vec::new() })
    }

    fn found(&self) -> BTreeSet<Row> {
        found(&[&strings(&self.train), &strings(&self.test)])
    }

    fn plant(&mut self, code: Code, line: (usize, usize)) {
        self.planted.push((code, line));
    }

    /// Checks that each fault is found, and no error where none was planted.
    fn tell(&self, set: &str, before: &BTreeSet<Row>) {
        let after = self.found();
        tell(set, &self.planted, before, &after, least);
        let places: BTreeSet<_> = self.planted.iter().map(|(_, place)| *place).collect();
        let elsewhere: Vec<Row> =
            errors(&after).into_iter().filter(|(_, place)| !places.contains(place)).collect();
        assert_eq!(elsewhere, []);
    }

    /// Replies that fit no question, speak of themselves, or are in another language.
    fn replies(&mut self) {
        for (n, foreign) in FOREIGN.iter().enumerate() {
            let at = 8 * n;
            answer(turns(&mut self.train[at]), ONE_REPLY);
            self.plant(Code::OneReply, (0, at + 1));
            let own = turns(&mut self.train[at + 1]);
            let text = own[own.len() - 1]["content"].as_str().unwrap().to_owned();
            answer(own, &format!("As an AI language model, I only know what guests say. {text}"));
            self.plant(Code::Boilerplate, (0, at + 2));
            answer(turns(&mut self.train[at + 2]), foreign);
            self.plant(Code::OtherLanguage, (0, at + 3));
        }
    }

    /// Tools that nothing can call, calls that do not fit, and as many tools and calls that do.
    fn tools(&mut self) {
        for n in 0..PLANTED {
            let at = 8 * n + 3;
            self.train[at]["tools"] = broken_tools(n);
            self.plant(Code::ToolSchema, (0, at + 1));
            let (name, arguments) = match n % 4 {
                0 => ("search", "{\"city\": \"Ely\"}"),
                1 => ("find", "{\"stars\": 3}"),
                2 => ("find", "{\"city\": 7}"),
                _ => ("find", "{\"city\": \"Ely\", \"colour\": \"red\"}"),
            };
            self.train[at + 1]["tools"] = tools(name);
            call(turns(&mut self.train[at + 1]), arguments, true);
            self.plant(Code::ToolMismatch, (0, at + 2));
            self.train[at + 2]["tools"] = tools("find");
            call(turns(&mut self.train[at + 2]), "{\"city\": \"Ely\", \"stars\": 3}", true);
        }
    }

    /// Test rows of which most words are those of a long training row.
    fn overlaps(&mut self) {
        let texts = self.train[300..].iter().map(spoken);
        let long = texts.filter(|text| text.split_whitespace().count() >= 150).take(PLANTED);
        let rows: Vec<Value> = long.enumerate().map(|(n, text)| copied(n, &text)).collect();
        assert_eq!(rows.len(), PLANTED);
        for row in rows {
            self.test.push(row);
            self.plant(Code::Overlap, (1, self.test.len()));
        }
    }

    /// A conversation's number for each row, some of them in both files.
    fn conversations(&mut self) {
        for (at, row) in self.train.iter_mut().enumerate() {
            row["conversation_id"] = json!(at);
        }
        for (at, row) in self.test.iter_mut().enumerate() {
            row["conversation_id"] = json!(format!("test-{at}"));
        }
        for n in 0..PLANTED {
            self.test[7 * n]["conversation_id"] = json!(500 + 11 * n);
            self.plant(Code::GroupLeak, (1, 7 * n + 1));
        }
    }

    /// Questions with another label elsewhere, and labels that are rare or in one file only.
    fn labels(&mut self) {
        let (mut train, mut test) = self.alone();
        for n in 0..PLANTED {
            let at = train.next().unwrap();
            let mut row = self.train[at].clone();
            let other = other_label(&row);
            answer(turns(&mut row), other);
            self.train.push(row);
            // Neither of two labels is that of most.
            self.plant(Code::Contradiction, (0, at + 1));
            self.plant(Code::Contradiction, (0, self.train.len()));
            let mut row = self.train[train.next().unwrap()].clone();
            let other = other_label(&row);
            ask(turns(&mut row), " ok");
            answer(turns(&mut row), other);
            self.train.push(row);
            self.plant(Code::NearContradiction, (0, self.train.len()));
            let at = train.next().unwrap();
            answer(turns(&mut self.train[at]), &format!("rare_{}", n / 5));
            self.plant(Code::RareLabel, (0, at + 1));
            let at = test.next().unwrap();
            answer(turns(&mut self.test[at]), &format!("unseen_{n}"));
            self.plant(Code::UnseenLabel, (1, at + 1));
        }
    }

    /// The training and the test rows whose questions are like no other one, so that each fault stands alone.
    fn alone(&self) -> (impl Iterator<Item = usize>, impl Iterator<Item = usize>) {
        let texts: Vec<&str> = self.train.iter().chain(&self.test).map(asked).collect();
        let groups = near_duplicates(&texts, 0.7).groups();
        let like_others: BTreeSet<usize> = groups.into_iter().flatten().collect();
        let training = self.train.len();
        let alone = (0..texts.len()).filter(|at| !like_others.contains(at));
        let (train, test): (Vec<usize>, Vec<usize>) = alone.partition(|at| *at < training);
        (train.into_iter(), test.into_iter().map(move |at| at - training))
    }
}

/// The least precision and recall of a code.
fn least(code: Code) -> (f64, f64) {
    match code {
        // The language of a text of two sentences is a guess, and told only where it is sure.
        Code::OtherLanguage => (LEAST, 0.8),
        _ => (LEAST, LEAST),
    }
}

/// The rows with errors.
fn errors(found: &BTreeSet<Row>) -> Vec<Row> {
    found.iter().filter(|(code, _)| code.severity() == Severity::Error).copied().collect()
}

/// Everything that is said in a row but for its answer.
fn spoken(row: &Value) -> String {
    let turns = row["messages"].as_array().unwrap();
    let before = turns[..turns.len() - 1].iter().filter(|turn| turn["role"] != "system");
    let texts: Vec<&str> = before.map(|turn| turn["content"].as_str().unwrap()).collect();
    texts.join("\n")
}

/// A row whose question holds the last 65 of each 100 words of a text, and a few of its own.
fn copied(n: usize, text: &str) -> Value {
    let words: Vec<&str> = text.split_whitespace().collect();
    let last = words[words.len() * 35 / 100..].join(" ");
    let question =
        format!("{last} That was my conversation number {n}, and what do you make of it?");
    chat(&question, &format!("I have read conversation {n}, and I will look into it at once."))
}

/// Tools of which one cannot be called.
fn broken_tools(n: usize) -> Value {
    let city = json!({ "city": { "type": "string" } });
    let parameters = match n % 5 {
        0 => return json!([{ "type": "function", "function": { "description": "Finds rooms." } }]),
        1 => json!({ "type": "dict", "properties": city }),
        2 => json!({ "type": "object", "properties": ["city"] }),
        3 => json!({ "type": "object", "properties": { "city": { "type": "str" } } }),
        _ => json!({ "type": "object", "properties": city, "required": ["town"] }),
    };
    json!([{ "type": "function", "function": { "name": "find", "parameters": parameters } }])
}

/// A tool that finds rooms in a city.
fn tools(name: &str) -> Value {
    let parameters = json!({
        "type": "object",
        "properties": { "city": { "type": "string" }, "stars": { "type": "integer" } },
        "required": ["city"],
        "additionalProperties": false,
    });
    json!([{ "type": "function", "function": { "name": name, "parameters": parameters } }])
}

fn label(row: &Value) -> &str {
    let turns = row["messages"].as_array().unwrap();
    turns[turns.len() - 1]["content"].as_str().unwrap()
}

fn other_label(row: &Value) -> &'static str {
    match label(row) {
        "cancel_order" => "check_invoice",
        _ => "cancel_order",
    }
}

#[test]
fn faults_planted_among_support_replies_are_found() {
    let Some(mut plant) = Plant::of("support_replies", ROWS.0) else { return };
    let before = plant.found();
    assert_eq!(errors(&before), []);
    plant.replies();
    plant.tools();
    plant.overlaps();
    plant.conversations();
    plant.tell("support_replies", &before);
}

#[test]
fn faults_planted_among_intents_are_found() {
    let Some(mut plant) = Plant::of("bitext_intent", ROWS.0) else { return };
    let before = plant.found();
    assert_eq!(errors(&before), []);
    plant.labels();
    plant.tell("bitext_intent", &before);
}

#[test]
fn an_opening_that_a_fifth_of_the_replies_have_is_found() {
    let Some(mut plant) = Plant::of("support_replies", 5 * PLANTED) else { return };
    let before = plant.found();
    for n in 0..PLANTED {
        let own = turns(&mut plant.train[5 * n + 2]);
        let text = own[own.len() - 1]["content"].as_str().unwrap().to_owned();
        answer(own, &format!("Thanks so much for asking! {text}"));
        plant.plant(Code::SameOpening, (0, 5 * n + 3));
    }
    plant.tell("support_replies", &before);
}

#[test]
fn files_of_two_labels_only_are_told_from_files_of_all() {
    let Some(train) = shared("bitext_intent", "train") else { return };
    let rows = read(&train, usize::MAX);
    let part = |first: usize, step: usize| -> Vec<Value> {
        rows.iter().skip(first).step_by(step).cloned().collect()
    };
    let labels: BTreeSet<&str> = rows.iter().map(label).collect();
    let labels: Vec<&str> = labels.into_iter().collect();
    let mut files = vec![strings(&part(0, 4))];
    let mut planted: Vec<Row> = Vec::new();
    for n in 0..PLANTED {
        // Every hundredth row: as many of each label as among the training rows.
        files.push(strings(&part(4 * n + 1, 100)));
        let two = [labels[n % labels.len()], labels[(n + 7) % labels.len()]];
        let of_two = part(2, 8).into_iter().filter(|row| two.contains(&label(row)));
        planted.push((Code::Shift, (files.len(), 0)));
        files.push(strings(&of_two.collect::<Vec<Value>>()));
    }
    let files: Vec<&[String]> = files.iter().map(Vec::as_slice).collect();
    tell("bitext_intent", &planted, &BTreeSet::new(), &found(&files), least);
}
