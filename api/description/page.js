// Shows the description. When an answer has links, what they take from it is filled into the calls that they name:
// so the id of a new group stands in every call on a group.
"use strict";

const followLinks = () => ({
  statePlugins: {
    spec: {
      wrapActions: {
        setResponse: (original, system) => (path, method, response) => {
          const result = original(path, method, response);
          fillIn(system, path, method, response);
          return result;
        },
      },
    },
  },
});

function fillIn(system, path, method, response) {
  const description = system.specSelectors.specJson().toJS();
  const answer = description.paths[path]?.[method]?.responses?.[response.status];
  for (const link of Object.values(answer?.links ?? {})) {
    const [to, operation] = named(description, link.operationId);
    for (const [name, source] of Object.entries(link.parameters)) {
      const value = response.body?.[source.replace("$response.body#/", "")];
      const parameter = operation?.parameters.find((one) => one.name === name);
      if (value !== undefined && sameKind(value, parameter)) {
        system.specActions.changeParam(to, name, parameter.in, value, false);
      }
    }
  }
}

function named(description, operationId) {
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (operation.operationId === operationId) return [[path, method], operation];
    }
  }
  return [[], undefined];
}

// A direct conversation is no group, though both have an id.
function sameKind(value, parameter) {
  return String(parameter?.example ?? "").split(":")[0] === String(value).split(":")[0];
}

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#description",
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [followLinks],
  layout: "BaseLayout",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
